//! What makes a state, its `decide` and its `fold` an aggregate of cqrs-es.
//!
//! `decide(&state, command)` answers the events, or why there are none; `fold` takes one in: it never fails and never
//! checks. So decisions stay synchronous, and the trait is one line.

/// Declares `State` as the aggregate of this type of stream; `decide`, `fold`, `Command`, `Event` and `Error` stand
/// beside it.
macro_rules! aggregate {
    ($state:ident, $name:literal) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $name;
            type Command = Command;
            type Event = Event;
            type Error = Error;
            type Services = ();

            async fn handle(
                &mut self,
                command: Command,
                (): &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Error> {
                for event in decide(self, command)?.into_iter() {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Event) {
                self.fold(event);
            }
        }
    };
}
pub(crate) use aggregate;
