//! Values of a size that nobody knows before: read in parts, so that a large one is no surprise.

use ::redis::{Cmd, Value, cmd, pipe};

use super::Redis;
use super::group::entries;
use super::many::{unanswered, was_not_run};
use crate::commit::{Entry, Part};
use crate::error::{Cause, Outcome};
use crate::group::StreamEntry;
use crate::keys::Keys;

/// How many entries are asked for first, and at most at once. Each question asks for twice as many as the one before, as
/// long as they are small.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 128;

impl Redis {
    pub async fn read_up_to(&self, key: &str, most: usize) -> Outcome<Option<Part>> {
        let [length, bytes] = questions(key, most);
        // One after the other, without waiting in between.
        let (length, bytes) = tokio::try_join!(
            self.connection.use_for(key, async |server| length.query_async::<usize>(server).await),
            self.connection.use_for(key, async |server| bytes.query_async::<Vec<u8>>(server).await),
        )?;
        if length == 0 && most > 0 {
            // The two don't tell an empty value from none.
            return Ok(self.read(key).await?.map(|bytes| part_of(0, bytes, most)));
        }
        Ok(Some(part_of(length, bytes, most)))
    }

    pub async fn read_up_to_each(&self, keys: &[&str], most: usize) -> Outcome<Vec<Outcome<Option<Part>>>> {
        let mut all = pipe();
        for key in keys {
            for question in questions(key, most) {
                all.add_command(question);
            }
        }
        let names: Vec<&str> = keys.iter().flat_map(|key| [*key, *key]).collect();
        let mut answers = self.connection.each(&names, all).await?.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(unanswered()));
        let mut read = Vec::with_capacity(keys.len());
        for key in keys {
            let (length, bytes) = (next(), next());
            let part = length.and_then(|length| Ok((length, bytes?)));
            read.push(match part {
                Ok((length, bytes)) if was_not_run(&length) || was_not_run(&bytes) => self.read_up_to(key, most).await,
                Ok((length, bytes)) => {
                    self.told(length, key).and_then(|length| Ok(Some(part_of(length, self.told(bytes, key)?, most))))
                }
                Err(cause) => Err(cause),
            });
        }
        self.tell_empty_from_none(keys, &mut read, most).await?;
        for read in &mut read {
            if matches!(read, Err(Cause::WrongType { .. })) {
                *read = Ok(None);
            }
        }
        Ok(read)
    }

    /// The length and the bytes of an empty value are those of none.
    async fn tell_empty_from_none(
        &self,
        keys: &[&str],
        read: &mut [Outcome<Option<Part>>],
        most: usize,
    ) -> Outcome<()> {
        let is_empty = |read: &Outcome<Option<Part>>| matches!(read, Ok(Some(part)) if part.length == 0);
        let places: Vec<_> = (0..read.len()).filter(|place| is_empty(&read[*place])).collect();
        let names: Vec<_> = places.iter().map(|place| keys[*place]).collect();
        let mut all = pipe();
        for name in &names {
            all.cmd("GET").arg(name);
        }
        for (answer, place) in self.connection.each(&names, all).await?.into_iter().zip(places) {
            match answer.and_then(|answer| self.told::<Option<Vec<u8>>>(answer, keys[place])) {
                Ok(Some(bytes)) => read[place] = Ok(Some(part_of(0, bytes, most))),
                Ok(None) => read[place] = Ok(None),
                Err(cause) => read[place] = Err(cause),
            }
        }
        Ok(())
    }

    pub async fn history(&self, keys: &Keys, newest: usize, most: usize) -> Outcome<Vec<Entry>> {
        let (mut found, mut seen, mut bytes) = (Vec::new(), 0, 0);
        let (mut page, mut until) = (FIRST_PAGE, "+".to_owned());
        'pages: while seen < newest {
            let count = page.min(newest - seen);
            let mut range = cmd("XREVRANGE");
            range.arg(&keys.history).arg(&until).arg("-").arg("COUNT").arg(count);
            let answer: Value =
                self.connection.use_for(&keys.history, async |server| range.query_async(server).await).await?;
            let entries = entries(answer)?;
            let (read, last) = (entries.len(), entries.last().map(|entry| entry.id.clone()));
            for entry in entries {
                bytes += size(&entry);
                if bytes > most && !found.is_empty() {
                    break 'pages;
                }
                found.extend(result(entry));
            }
            seen += read;
            match last.as_deref().and_then(before) {
                Some(id) if read == count => until = id,
                _ => break,
            }
            let fitting = most.saturating_sub(bytes) / (bytes / seen).max(1);
            page = fitting.clamp(1, (2 * page).min(LARGEST_PAGE));
        }
        found.reverse();
        Ok(found)
    }
}

/// How long a value is, and how it begins.
fn questions(key: &str, most: usize) -> [Cmd; 2] {
    let (mut length, mut bytes) = (cmd("STRLEN"), cmd("GETRANGE"));
    length.arg(key);
    // The end counts in.
    let end = i64::try_from(most).unwrap_or(i64::MAX).max(1) - 1;
    bytes.arg(key).arg(0).arg(end);
    [length, bytes]
}

/// Of a value that was written between the two answers, the second tells more than the first.
fn part_of(length: usize, bytes: Vec<u8>, most: usize) -> Part {
    let length = if bytes.len() < most { bytes.len() } else { length.max(bytes.len()) };
    Part { bytes, length }
}

fn size(entry: &StreamEntry) -> usize {
    let fields = entry.fields.iter().flatten();
    entry.id.len() + fields.map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

/// What a host has written; what others have, has no such field.
fn result(entry: StreamEntry) -> Option<Entry> {
    let data = entry.fields?.into_iter().find(|(name, _)| name == b"data")?.1;
    Some(Entry { id: entry.id, data })
}

/// The greatest id below this one. (Redis 6.2 would understand `(ID`.)
fn before(id: &str) -> Option<String> {
    let (milliseconds, number) = id.split_once('-')?;
    let (milliseconds, number): (u64, u64) = (milliseconds.parse().ok()?, number.parse().ok()?);
    match number.checked_sub(1) {
        Some(number) => Some(format!("{milliseconds}-{number}")),
        None => Some(format!("{}-{}", milliseconds.checked_sub(1)?, u64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_down_to_none() {
        assert_eq!(before("7-3").unwrap(), "7-2");
        assert_eq!(before("7-0").unwrap(), "6-18446744073709551615");
        assert_eq!(before("0-0"), None);
    }

    #[test]
    fn a_value_that_changed_between_two_answers_is_as_long_as_what_came() {
        let length = |told, came: usize, most| part_of(told, vec![b'x'; came], most).length;
        assert_eq!((length(9, 4, 10), length(4, 9, 10), length(90, 10, 10), length(5, 10, 10)), (4, 9, 90, 10));
    }
}
