//! One plot: its lines, and what pointer and keys say to it. The stretch of time in sight is the page's, so that all
//! plots go together.

use std::sync::Arc;

use eframe::egui::{self, EventFilter, Key, PointerButton, PopupAnchor, Rangef, Rect, Response, Role, Stroke, vec2};
use egui_plot::{Plot, PlotBounds, PlotTransform};

use super::lines::{Line, Weight};
use super::span::{self, Span};
use super::strokes::{Ground, Strokes};
use super::{Scene, Told, axes, palette, tooltip};

/// The axis of numbers is as wide in all plots, so that the times stand below each other.
const AXIS_WIDTH: f32 = 52.0;

/// How near the pointer must be to a line, in points.
const NEAR: f32 = 10.0;

/// How the numbers' axis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From 0 to 100, and further only where a line does.
    Percent,
    /// From the least to the greatest in sight.
    Fitting,
}

/// What a plot is.
#[derive(Debug, Clone, Copy)]
pub struct Plate<'a> {
    /// Its title, for those who hear it.
    pub title: &'a str,
    /// Width and height in points.
    pub size: egui::Vec2,
    /// How its numbers go.
    pub scale: Scale,
    /// Whether times are written below it.
    pub times: bool,
}

/// Draws a plot.
pub fn draw(ui: &mut egui::Ui, plate: Plate<'_>, lines: &Arc<Vec<Line>>, scene: &Scene<'_>, told: &mut Told) {
    let (from, to) = (scene.span.from, scene.span.to);
    let [bottom, top] = numbers(plate.scale, lines, scene.span);
    let strokes = Strokes::new(
        Arc::clone(lines),
        order(lines, scene, ui.visuals().dark_mode),
        scene.gaps.clone(),
        scene.pointed.at,
        Ground { gap: scene.colors.track.gamma_multiply(0.45), cursor: scene.colors.weak },
    );
    let time = scene.time;
    let response = Plot::new(plate.title)
        .width(plate.size.x)
        .height(plate.size.y)
        .min_size(vec2(64.0, 40.0))
        .show_axes([plate.times, true])
        // The grid and the axes say where it is; a ground of its own would cost as much as all the lines.
        .show_background(false)
        .grid_color(scene.colors.weak.gamma_multiply(0.5))
        .y_axis_min_width(AXIS_WIDTH)
        .x_grid_spacer(move |input| axes::times(&input, time))
        .x_axis_formatter(move |mark, _| axes::time(mark, [from, to], plate.size.x - AXIS_WIDTH, time))
        .y_axis_formatter(move |mark, _| match plate.scale {
            Scale::Percent => format!("{:.0} %", mark.value),
            Scale::Fitting => axes::short(mark.value),
        })
        // All that moves a plot moves the page's stretch of time, below.
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_double_click_reset(false)
        .show_crosshair(false);
    let response = match plate.scale {
        Scale::Percent => response.y_grid_spacer(|input| axes::quarters(&input)),
        Scale::Fitting => response,
    };
    let shown = response.show(ui, move |plot| {
        plot.set_plot_bounds(PlotBounds::from_min_max([from, bottom], [to, top]));
        plot.add(strokes);
    });
    speak(&shown.response, plate.title, lines, scene);
    point(&shown.response, &shown.transform, lines, scene, told);
    drag(ui, &shown.response, &shown.transform, scene, told);
    wheel(ui, &shown.response, &shown.transform, scene, told);
    keys(ui, &shown.response, scene, told);
}

/// The least and the greatest number of the axis.
fn numbers(scale: Scale, lines: &[Line], span: Span) -> [f64; 2] {
    let points = lines.iter().flat_map(|line| line.segments.iter().flatten());
    let in_sight = points.filter(|[at, _]| (span.from..=span.to).contains(at)).map(|[_, number]| *number);
    let [least, greatest] = in_sight.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, greatest], number| {
        [least.min(number), greatest.max(number)]
    });
    match scale {
        Scale::Percent => [least.min(0.0), greatest.max(100.0)],
        Scale::Fitting if least > greatest => [0.0, 1.0],
        Scale::Fitting => {
            let margin = (greatest - least) * 0.1;
            // What never changes is drawn in the middle, with marks that differ.
            let margin = if margin > greatest.abs() * 1e-9 { margin } else { (greatest.abs() * 0.5).max(1.0) };
            [least - margin, greatest + margin]
        }
    }
}

/// The lines that are shown, those behind first.
fn order(lines: &[Line], scene: &Scene<'_>, dark: bool) -> Vec<(usize, Stroke)> {
    let pointed = |line: &Line| scene.pointed.line.as_deref() == Some(line.field.as_str());
    let mut shown: Vec<usize> = (0..lines.len()).filter(|index| !lines[*index].segments.is_empty()).collect();
    shown.sort_by_key(|index| (pointed(&lines[*index]), lines[*index].weight));
    let stroke = |line: &Line| {
        let color = palette::color(line.place, dark);
        match line.weight {
            _ if pointed(line) => Stroke::new(3.0, color),
            Weight::Faint => Stroke::new(1.0, scene.colors.weak.gamma_multiply(0.3)),
            Weight::Usual => Stroke::new(1.5, color),
            Weight::Bold => Stroke::new(2.5, color),
        }
    };
    shown.into_iter().map(|index| (index, stroke(&lines[index]))).collect()
}

fn speak(response: &Response, title: &str, lines: &[Line], scene: &Scene<'_>) {
    response.widget_info(|| {
        let newest = scene.newest_words(lines);
        let words = format!("History of {title}, {}, {newest}", scene.span.words(scene.state, scene.time));
        egui::WidgetInfo::labeled(Role::Image, true, words)
    });
}

/// The cursor, the line under it, and what they tell.
fn point(response: &Response, transform: &PlotTransform, lines: &[Line], scene: &Scene<'_>, told: &mut Told) {
    let Some(pointer) = response.hover_pos() else { return };
    let at = transform.value_from_position(pointer).x;
    told.at = Some(at);
    let visible = lines.iter().filter(|line| !line.segments.is_empty());
    let distances = visible.filter_map(|line| {
        let number = scene.value(&line.field, at)?;
        Some(((transform.position_from_point_y(number) - pointer.y).abs(), line))
    });
    let nearest = distances.min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((distance, line)) = nearest
        && distance <= NEAR
    {
        told.line = Some(line.field.clone());
    }
    if response.dragged() {
        return;
    }
    egui::Tooltip::always_open(response.ctx.clone(), response.layer_id, response.id, PopupAnchor::Pointer)
        .gap(14.0)
        .show(|ui| tooltip::draw(ui, at, lines, told.line.as_deref(), scene));
}

/// Dragging pans, dragging with the other button chooses a part, a double click follows again.
fn drag(ui: &egui::Ui, response: &Response, transform: &PlotTransform, scene: &Scene<'_>, told: &mut Told) {
    let (state, now) = (scene.state, scene.now);
    let [seconds_per_point, _] = transform.dvalue_dpos();
    if response.dragged_by(PointerButton::Primary) && response.drag_delta().x != 0.0 {
        told.span = Some(scene.span.moved(-f64::from(response.drag_delta().x) * seconds_per_point, state, now));
    }
    if response.double_clicked() {
        told.follow(state);
    }
    let start = response.id.with("start of the part");
    if response.drag_started_by(PointerButton::Secondary)
        && let Some(origin) = ui.input(|input| input.pointer.press_origin())
    {
        ui.data_mut(|data| data.insert_temp(start, transform.value_from_position(origin).x));
    }
    let (Some(began), Some(pointer)) = (ui.data(|data| data.get_temp::<f64>(start)), response.interact_pointer_pos())
    else {
        return;
    };
    let x =
        [transform.position_from_point_x(began), pointer.x.clamp(transform.frame().left(), transform.frame().right())];
    let part = Rangef::new(x[0].min(x[1]), x[0].max(x[1]));
    if response.dragged_by(PointerButton::Secondary) {
        let rect = Rect::from_x_y_ranges(part, transform.frame().y_range());
        ui.painter().rect_filled(rect, 0.0, scene.colors.accent.gamma_multiply(0.2));
    }
    if response.drag_stopped_by(PointerButton::Secondary) {
        ui.data_mut(|data| data.remove::<f64>(start));
        if part.span() >= 4.0 {
            let [from, to] = [part.min, part.max].map(|x| transform.value_from_position(egui::pos2(x, 0.0)).x);
            told.span = Some(Span { from, to }.zoomed(1.0, from, state, now));
        }
    }
}

/// Ctrl and the wheel, or two fingers, zoom at the pointer; sideways it pans. Up and down is the page's.
fn wheel(ui: &egui::Ui, response: &Response, transform: &PlotTransform, scene: &Scene<'_>, told: &mut Told) {
    let Some(pointer) = response.hover_pos() else { return };
    let (zoom, scroll) = ui.input(|input| (input.zoom_delta(), input.smooth_scroll_delta().x));
    if zoom != 1.0 {
        let around = transform.value_from_position(pointer).x;
        told.span = Some(scene.span.zoomed(1.0 / f64::from(zoom), around, scene.state, scene.now));
    } else if scroll != 0.0 {
        let seconds = -f64::from(scroll) * transform.dvalue_dpos()[0];
        told.span = Some(scene.span.moved(seconds, scene.state, scene.now));
    }
}

/// With the focus: arrows pan, plus and minus zoom, End follows.
fn keys(ui: &egui::Ui, response: &Response, scene: &Scene<'_>, told: &mut Told) {
    if !response.has_focus() {
        return;
    }
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    ui.painter().rect_stroke(response.rect, 2.0, ui.visuals().selection.stroke, egui::StrokeKind::Inside);
    let (state, now, step) = (scene.state, scene.now, scene.span.length() / 10.0);
    let pressed = |key| ui.input(|input| input.modifiers.is_none() && input.key_pressed(key));
    for (key, seconds) in [(Key::ArrowLeft, -step), (Key::ArrowRight, step)] {
        if pressed(key) {
            told.span = Some(scene.span.moved(seconds, state, now));
        }
    }
    if pressed(Key::Plus) || pressed(Key::Equals) {
        span::zoom(state, scene.span, 0.5, now, told);
    }
    if pressed(Key::Minus) {
        span::zoom(state, scene.span, 2.0, now, told);
    }
    if pressed(Key::End) {
        told.follow(state);
    }
}
