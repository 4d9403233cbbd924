//! bbot: the events of a BBOT scan, 1.x to 3.x, one JSON object a line, packed or not.
//!
//! Each event is a finding under its parent's; a parent that comes later in the file is found all the same, one that is
//! not in it (BBOT leaves its internal events out) is told, and the event hangs under the nearest one above.

mod event;
mod index;
mod kinds;

use mirage_domain::module::Manifest;
use mirage_domain::scope::Rule;
use mirage_log::evidence::Stored;

use super::relate::relate;
use super::source::{self, Line};
use super::{COMMON, Emit, Hung, Importer, Item, Stop, Surroundings};
use crate::collectors::Claim;
use event::Event;
use index::{Index, Lack};

static MANIFEST: Manifest = Manifest {
    name: "bbot",
    summary: "Events of a BBOT scan, each under its parent",
    ..COMMON
};

pub(super) static IMPORTER: Importer = Importer {
    manifest: &MANIFEST,
    format: read,
};

/// Certainty of a claim that one of several addresses is meant, in percent.
const ONE_OF_SEVERAL: u8 = 50;

fn read(file: &mut dyn Stored, around: &Surroundings<'_>, emit: Emit<'_>) -> Result<(), Stop> {
    let mut index = Index::new()?;
    lines(file, &mut |_, event| {
        let Ok(event) = event else { return Ok(()) };
        let named = kinds::of(&event, around.root, around.keyed);
        Ok(index.add(&event, &named.entities[0])?)
    })?;
    lines(file, &mut |line, event| match event {
        Err(why) => emit(Item::Bad { line, why }),
        Ok(event) => {
            report(&event, line, &mut index, around, emit)?;
            emit(Item::Record)
        }
    })
}

/// Every line that is not empty, as the event that it is or the reason why it is none.
fn lines(
    file: &mut dyn Stored,
    take: &mut dyn FnMut(u64, Result<Event, String>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut source = source::open(file)?;
    let mut text = Vec::new();
    loop {
        let line = source.line();
        match source.next_line(&mut text)? {
            Line::End => return Ok(()),
            Line::TooLong => {
                let most = source::RECORD_BYTES_MAX;
                take(line, Err(format!("longer than {most} bytes")))?;
            }
            Line::Text if text.trim_ascii().is_empty() => {}
            Line::Text => take(line, Event::read(&text))?,
        }
    }
}

fn report(
    event: &Event,
    line: u64,
    index: &mut Index,
    around: &Surroundings<'_>,
    emit: Emit<'_>,
) -> Result<(), Stop> {
    for target in event.targets().filter(|_| event.is_scan()) {
        if target.parse::<Rule>().is_ok() {
            emit(Item::Target(target.to_owned()))?;
        }
    }
    let named = kinds::of(event, around.root, around.keyed);
    if named.is_text {
        let (rule, detail) = (event.kind().to_owned(), String::new());
        let code = "kept-as-text";
        emit(Item::Remark { code, rule, detail })?;
    }
    let place = index.place(event, around.root)?;
    if let Some(lack) = place.lacks {
        emit(told(lack, event, line))?;
    }
    let several = named.entities.len() > 1;
    for entity in named.entities {
        let parent = place.under.last().map_or(around.root, |link| &link.1);
        let edge = relate(parent, &entity, event.module());
        let mut claim = Claim::toward(edge, entity.clone(), around.evidence);
        for (name, value) in event.attributes(&entity) {
            claim = claim.with(&name, value);
        }
        if several {
            claim = claim.confidence(ONE_OF_SEVERAL);
        }
        let under = place.under.clone();
        emit(Item::Claim(Box::new(Hung { under, claim })))?;
    }
    Ok(())
}

fn told(lack: Lack, event: &Event, line: u64) -> Item {
    let parent = event
        .parent_id()
        .or(event.parent_uuid())
        .unwrap_or_default();
    // Of a parent's name its type counts, so that equal ones are told together.
    let rule = parent.split(':').next().unwrap_or_default().to_owned();
    let code = match lack {
        Lack::Parent => "parent-not-in-file",
        Lack::Chain => "parents-in-a-circle",
    };
    let detail = format!("line {line}: {parent}");
    Item::Remark { code, rule, detail }
}
