//! The builds of a view on one server: which there are, which is live, making one and deleting one.
//!
//! The community edition has one database, so a build is a mark behind the names of everything in it
//! (`Entity_mirage_graph_1_3`), and a node `MirageBuild` that says how far it is. A build is complete once it has a
//! rank: of those the last one is live. A mark is never given twice while one of its rows is left.
//!
//! **Invariant:** a build's node is there before its first row, and goes after its last.

use mirage_domain::id::{Digest, Position};

use super::cypher::{Cypher, Record};
use super::layout::Layout;
use super::server::{Server, is_there_already};
use crate::error::Cause;
use crate::row::Row;
use crate::store::LINGER;
use crate::{Checkpoint, Error, Registered};

/// Others may make builds at the same time; each that is met is one try.
const TRIES: usize = 8;

const UNIQUE: &str =
    "CREATE CONSTRAINT mirage_build IF NOT EXISTS FOR (b:MirageBuild) REQUIRE b.id IS UNIQUE";

const ALL: &str = "MATCH (b:MirageBuild {of: $of}) RETURN b.number AS number, b.rank AS rank,
    b.position AS position, b.log_hash AS log_hash, b.hash AS hash,
    timestamp() - b.touched_at > $linger AS is_quiet ORDER BY rank, number";

/// A build that is still to be filled.
const CLAIM: &str =
    "CREATE (:MirageBuild {id: $build, of: $of, number: $number, touched_at: timestamp()})";

/// The first build is live from the start; two who make it share it.
const BEGIN: &str = "MERGE (b:MirageBuild {id: $build})
    ON CREATE SET b.of = $of, b.number = $number, b.rank = 1, b.touched_at = timestamp()";

/// Writing to both takes them for this statement, so that what is compared stands still.
const COMPLETE: &str = "MATCH (b:MirageBuild {id: $build})
    OPTIONAL MATCH (live:MirageBuild {of: $of}) WHERE live.rank IS NOT NULL
    WITH b, live ORDER BY live.rank DESC, live.number DESC LIMIT 1
    SET live.touched_at = timestamp(), b.touched_at = timestamp()
    WITH b, live WHERE coalesce(live.position, 0) <= coalesce(b.position, 0)
    SET b.rank = coalesce(live.rank, 0) + 1 RETURN b.rank AS rank";

/// The position only goes forward, except to begin anew.
const ADVANCE: &str = "MATCH (b:MirageBuild {id: $build}) SET b.touched_at = timestamp()
    FOREACH (_ IN CASE WHEN $position = 0 OR coalesce(b.position, 0) < $position THEN [1] ELSE [] END |
        SET b.position = $position, b.log_hash = $log_hash, b.hash = $hash)
    RETURN b.id AS id";

/// Nobody begins with it again.
const CLOSE: &str = "MATCH (b:MirageBuild {id: $build}) REMOVE b.rank SET b.touched_at = 0";
const FORGET: &str = "MATCH (b:MirageBuild {id: $build}) DELETE b";

/// A build as its node tells.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) number: i64,
    /// None until it is complete.
    rank: Option<i64>,
    pub(super) checkpoint: Checkpoint,
    /// Whether nothing was written to it for a while.
    is_quiet: bool,
}

impl Build {
    pub(super) fn is_complete(&self) -> bool {
        self.rank.is_some()
    }

    fn read(record: &Record) -> Result<Self, Cause> {
        let row = Row::Neo4j(record);
        let checkpoint = match row.get::<_, Option<u64>>("position")? {
            None => Checkpoint::NONE,
            Some(position) => Checkpoint {
                position: Position(position),
                log_hash: Digest(row.get("log_hash")?),
                hash: Digest(row.get("hash")?),
            },
        };
        Ok(Self {
            number: row.get("number")?,
            rank: row.get("rank")?,
            checkpoint,
            is_quiet: row.get("is_quiet")?,
        })
    }
}

/// The builds of one view of one namespace.
#[derive(Clone)]
pub(crate) struct Builds {
    pub(super) server: Server,
    pub(super) view: &'static Registered,
    pub(super) model: &'static Layout,
    /// Namespace, view and version.
    of: String,
    linger_ms: i64,
}

impl Builds {
    pub(super) fn new(
        server: Server,
        namespace: &str,
        view: &'static Registered,
    ) -> Result<Self, Error> {
        Ok(Self {
            server,
            view,
            model: Layout::of(view)?,
            of: format!("{namespace}_{}_{}", view.name, view.version),
            linger_ms: i64::try_from(LINGER.as_millis()).unwrap_or(i64::MAX),
        })
    }

    /// What stands behind the names of a build.
    pub(super) fn mark(&self, number: i64) -> String {
        format!("_{}_{number}", self.of)
    }

    fn about(&self, text: &'static str, number: i64) -> Cypher {
        Cypher::new(text)
            .with("build", self.mark(number))
            .with("of", self.of.as_str())
    }

    /// Those that are not complete first, the live one last.
    pub(super) fn all(&self) -> Result<Vec<Build>, Cause> {
        let sql = Cypher::new(ALL)
            .with("of", self.of.as_str())
            .with("linger", self.linger_ms);
        let mut all = self.server.rows(&sql, "", Build::read)?;
        all.sort_by_key(|build| (build.rank, build.number));
        Ok(all)
    }

    /// The build that batches and queries use.
    pub(super) fn live(&self) -> Result<Option<Build>, Cause> {
        Ok(self.all()?.pop().filter(|build| build.is_complete()))
    }

    /// The live build; the first one is made if there is none.
    pub(super) fn open(&self) -> Result<Build, Error> {
        let fault = |cause| Error::open(self.view, cause);
        for _ in 0..TRIES {
            let all = self.all().map_err(fault)?;
            if let Some(live) = all.last().filter(|build| build.is_complete()) {
                return Ok(live.clone());
            }
            let number = next(&all);
            self.rule(number).map_err(fault)?;
            let begin = self.about(BEGIN, number).with("number", number);
            self.server.run_racing(&begin, "").map_err(fault)?;
        }
        Err(Error::Interfered(self.view.name))
    }

    /// A build of its own, to be completed.
    pub(super) fn claim(&self) -> Result<i64, Error> {
        let fault = |cause| Error::open(self.view, cause);
        self.server
            .run_racing(&Cypher::new(UNIQUE), "")
            .map_err(fault)?;
        for _ in 0..TRIES {
            let number = next(&self.all().map_err(fault)?);
            let claim = self.about(CLAIM, number).with("number", number);
            match self.server.run(&claim, "") {
                Ok(()) => {
                    self.rule(number).map_err(fault)?;
                    return Ok(number);
                }
                Err(cause) if is_there_already(&cause) => {}
                Err(cause) => return Err(fault(cause)),
            }
        }
        Err(Error::Interfered(self.view.name))
    }

    /// Constraints come first: without them each row that is written would search all others.
    fn rule(&self, number: i64) -> Result<(), Cause> {
        let mark = self.mark(number);
        self.server.run_racing(&Cypher::new(UNIQUE), "")?;
        for (rule, of) in self.model.rules() {
            let create = Cypher::new(format!("CREATE {rule} IF NOT EXISTS {of}"));
            self.server.run_racing(&create, &mark)?;
        }
        Ok(())
    }

    /// Moves a build's checkpoint; answers nothing if the build is gone.
    pub(super) fn advance(&self, number: i64, to: Checkpoint) -> Cypher {
        let hex = |digest: Digest| data_encoding::HEXLOWER.encode(&digest.0);
        self.about(ADVANCE, number)
            .with("position", to.position.0 as i64)
            .with("log_hash", hex(to.log_hash))
            .with("hash", hex(to.hash))
    }

    /// Whether the build took the place of the live one.
    pub(super) fn complete(&self, number: i64) -> Result<bool, Cause> {
        let completed = self
            .server
            .rows(&self.about(COMPLETE, number), "", |_| Ok(()))?;
        Ok(!completed.is_empty())
    }

    /// Deletes builds that nobody needs: a while after a later one took their place, or a rebuild died.
    pub(super) fn sweep(&self) -> Result<(), Cause> {
        let all = self.all()?;
        let live = all.last().and_then(|build| build.rank);
        let is_needless =
            |build: &&Build| build.is_quiet && (build.rank.is_none() || build.rank < live);
        all.iter()
            .filter(is_needless)
            .try_for_each(|build| self.delete(build.number))
    }

    /// Deletes the complete ones.
    pub(super) fn discard(&self) -> Result<(), Cause> {
        let all = self.all()?;
        all.iter()
            .filter(|build| build.is_complete())
            .try_for_each(|build| self.delete(build.number))
    }

    /// Cut off between two steps it goes on at the next sweep.
    fn delete(&self, number: i64) -> Result<(), Cause> {
        let mark = self.mark(number);
        self.server.run(&self.about(CLOSE, number), "")?;
        for text in self.model.erasures() {
            self.server.run(&Cypher::new(*text), &mark)?;
        }
        for (rule, _) in self.model.rules() {
            self.server
                .run(&Cypher::new(format!("DROP {rule} IF EXISTS")), &mark)?;
        }
        self.server.run(&self.about(FORGET, number), "")
    }

    #[cfg(test)]
    pub(super) fn impatient(self) -> Self {
        Self {
            linger_ms: -1,
            ..self
        }
    }
}

/// A number that no build has.
fn next(all: &[Build]) -> i64 {
    all.iter().map(|build| build.number).max().unwrap_or(0) + 1
}
