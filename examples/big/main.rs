mod support;
use cnn_codes::codes::*;
use cnn_codes::draft::Existing;
use cnn_codes::head::Samples;
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
use std::path::Path;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "make" {
        let store = Store::open(Path::new(&args[2])).unwrap();
        let codes = store.read_codes();
        let n: usize = args[4].parse().unwrap();
        let dtype = if args[5] == "f16" {
            Dtype::F16
        } else {
            Dtype::F32
        };
        let mut d = support::description(dtype, Pool::None);
        d.codes = store.manifest().codes.clone();
        d.classes = store.manifest().classes.clone();
        let mut w = StoreWriter::create(Path::new(&args[3]), Existing::Keep, d).unwrap();
        let mut s = 1u32;
        let mut r = move || {
            s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (s >> 8) as f32 / 16_777_216.0
        };
        for row in 0..n {
            let (i, j) = ((r() * 600.0) as usize, (r() * 600.0) as usize);
            let (mix, i) = (0.4 * r(), i.min(599));
            let code: Vec<f32> = codes
                .row(i)
                .iter()
                .zip(codes.row(j.min(599)))
                .map(|(a, b)| (1.0 - mix) * a * (0.5 + r()) + mix * b)
                .collect();
            let p = WrittenPicture {
                path: format!("{row}.jpg"),
                label: Some(store.labels().unwrap()[i]),
                width: 10,
                height: 20,
                blake3: [0u8; 32].into(),
            };
            w.append(&p, Code::Values(&code)).unwrap();
        }
        w.finish().unwrap();
        return;
    }
    let store = Store::open(Path::new(&args[2])).unwrap();
    let t = std::time::Instant::now();
    let samples = Samples::of_store(&store).unwrap();
    println!("samples {:.2} s", t.elapsed().as_secs_f64());
    let strengths: Vec<f64> = args[3..].iter().map(|a| a.parse().unwrap()).collect();
    let t = std::time::Instant::now();
    let mut first = None;
    let fits = Logistic::fit_path(
        &samples,
        &strengths,
        &LogisticOptions::default(),
        &mut |p| {
            first.get_or_insert_with(|| {
                println!("first pass after {:.2} s", t.elapsed().as_secs_f64());
            });
            if p.evaluations % 20 == 0 {
                println!("{:.1} s {p:?}", t.elapsed().as_secs_f64());
            }
            std::ops::ControlFlow::Continue(())
        },
    )
    .unwrap();
    println!("path {:.2} s", t.elapsed().as_secs_f64());
    for f in fits {
        println!("{:?}", f.unwrap().convergence);
    }
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("VmHWM") || l.starts_with("Rss") || l.starts_with("RssAnon"))
            .collect::<Vec<_>>()
            .join(" ")
    );
}
