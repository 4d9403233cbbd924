//! The kept code of the gRPC messages is what their descriptions say.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::root;
use prost::Message;
use prost_types::FileDescriptorSet;

const KEPT: &str = "crates/api/src/grpc/generated";

/// Every description there is, from the folder of descriptions, sorted.
fn descriptions() -> Result<Vec<PathBuf>> {
    let package = Path::new("mirage/v1");
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("schemas/proto").join(package))? {
        found.push(package.join(entry?.file_name()));
    }
    found.sort();
    Ok(found)
}

/// By a compiler in Rust, for a fresh machine has no `protoc`.
fn compiled() -> Result<FileDescriptorSet> {
    let mut compiler = protox::Compiler::new([root().join("schemas/proto")])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(descriptions()?)?;
    let bytes = compiler.encode_file_descriptor_set();
    Ok(FileDescriptorSet::decode(&*bytes)?)
}

/// Comments are for the code; who asks a server for descriptions does not get them.
fn without_comments(mut set: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut set.file {
        file.source_code_info = None;
    }
    set
}

fn generated(into: &Path) -> Result<()> {
    let set = compiled()?;
    let kept = without_comments(set.clone()).encode_to_vec();
    fs::write(into.join("mirage.v1.binpb"), kept)?;
    tonic_prost_build::configure()
        .out_dir(into)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        // The same request is the same bytes, and an event's data are not copied for each who reads it.
        .btree_map(".")
        .bytes(".mirage.v1.Event.data")
        .compile_fds(set)?;
    Ok(())
}

#[test]
fn the_kept_code_is_what_the_descriptions_say() -> Result<()> {
    let made = tempfile::tempdir()?;
    generated(made.path())?;
    let kept = root().join(KEPT);
    for name in ["mirage.v1.rs", "mirage.v1.binpb"] {
        let made = fs::read(made.path().join(name)).with_context(|| format!("making {name}"))?;
        let kept = kept.join(name);
        if std::env::var_os("MIRAGE_BLESS").is_some() {
            fs::write(&kept, &made)?;
        }
        let is_same = fs::read(&kept).is_ok_and(|kept| kept == made);
        ensure!(
            is_same,
            "run with MIRAGE_BLESS=1 to write {}",
            kept.display()
        );
    }
    Ok(())
}
