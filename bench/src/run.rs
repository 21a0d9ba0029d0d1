//! A run: the sections one after the other, what they found as it comes, the report at the end.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::options::Options;
use crate::report::{Earlier, Machine, Report, compare, print_findings, short};
use crate::sections::{self, Section};
use crate::stage::Stage;

/// Runs what the command line asks for.
pub(crate) async fn run(options: Options) -> Result<()> {
    let mut out = std::io::stdout();
    if options.list {
        for section in sections::ALL {
            writeln!(out, "{:<12} {}", section.name, section.title)?;
        }
        return Ok(());
    }
    let chosen = chosen(&options)?;
    // Read before the hour, not after it.
    let old = options.compare.as_deref().map(Earlier::read).transpose()?;
    warn_of_debug(&mut out)?;
    let mut report = Report {
        began: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
        seconds: 0.0,
        full: options.full,
        machine: Machine::this(),
        sections: Vec::new(),
    };
    let began = Instant::now();
    if options.kubeconfig.is_some() {
        let mut findings = sections::table::run_on_own_hub(&options).await?;
        findings.seconds = began.elapsed().as_secs_f64();
        "table".clone_into(&mut findings.name);
        "The reference's table, on your own hub".clone_into(&mut findings.title);
        print_findings(&mut out, &findings)?;
        report.sections.push(findings);
        report.seconds = began.elapsed().as_secs_f64();
        return finish(&mut out, report, old.as_ref(), &options);
    }
    writeln!(out, "The lab, the upstream and the gateway start ...")?;
    let stage = Stage::set(options).await?;
    for section in chosen {
        writeln!(out, "\n{} ...", section.title)?;
        let start = Instant::now();
        let mut findings =
            (section.run)(&stage).await.with_context(|| format!("section {}", section.name))?;
        section.name.clone_into(&mut findings.name);
        section.title.clone_into(&mut findings.title);
        findings.seconds = start.elapsed().as_secs_f64();
        print_findings(&mut out, &findings)?;
        report.sections.push(findings);
        report.seconds = began.elapsed().as_secs_f64();
        // An hour's figures are not lost with the last section.
        report.write(&stage.options.out())?;
    }
    finish(&mut out, report, old.as_ref(), &stage.options)
}

fn finish(
    out: &mut impl std::io::Write,
    mut report: Report,
    old: Option<&Earlier>,
    options: &Options,
) -> Result<()> {
    if let Some(old) = old {
        let findings = compare(old, &report);
        print_findings(out, &findings)?;
        report.sections.push(findings);
    }
    let folder = options.out();
    report.write(&folder)?;
    let seconds = short(report.seconds);
    writeln!(out, "\n{seconds} s; report.json and report.html are in {}", folder.display())?;
    let broken = report.broken().len();
    if broken > 0 && options.strict {
        bail!("{broken} figures miss what is promised; they are marked MISSED above");
    }
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Section>> {
    for name in &options.sections {
        ensure!(
            sections::ALL.iter().any(|section| section.name == name),
            "there is no section {name}; --list says which there are"
        );
    }
    let all = sections::ALL.iter();
    Ok(match options.sections.as_slice() {
        [] => all.filter(|section| options.full || section.quick).collect(),
        names => all.filter(|section| names.iter().any(|name| name == section.name)).collect(),
    })
}

fn warn_of_debug(out: &mut impl std::io::Write) -> Result<()> {
    if cfg!(debug_assertions) {
        writeln!(out, "WARNING: this is a debug build, its figures mean nothing; use `make bench`.")?;
    }
    Ok(())
}
