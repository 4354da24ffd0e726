//! What takes too long for every frame is made once, and kept in egui's memory until what it is made of is another.

use std::sync::Arc;

use eframe::egui;

/// What was made of the same `key` before, or what `make` makes. `place` is one caller's own.
pub fn kept<K, T>(ctx: &egui::Context, place: egui::Id, key: K, make: impl FnOnce() -> T) -> Arc<T>
where
    K: Clone + PartialEq + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    if let Some((made_of, made)) = ctx.data(|data| data.get_temp::<(K, Arc<T>)>(place))
        && made_of == key
    {
        return made;
    }
    let made = Arc::new(make());
    ctx.data_mut(|data| data.insert_temp(place, (key, Arc::clone(&made))));
    made
}
