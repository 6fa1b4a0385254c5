//! Bare ONNX Runtime against the same with this program's convolutions, in turns.
//!
//!     cargo bench --bench winograd -- [ROUNDS]
use std::path::Path;
use std::time::Instant;

use cnn_codes::model::{Device, Kernels, Library, ModelCard, Runtime, Trunk, TrunkOptions};

fn main() -> anyhow::Result<()> {
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let rounds = args.first().copied().unwrap_or(5);
    let threads = args.get(1).copied().unwrap_or(2);
    let runtime = Runtime::load(&Library::find(None, Path::new("models"))?)?;
    let load = |kernels| {
        let card = ModelCard::vgg16();
        let model = Path::new("models").join(&card.file);
        let t = Instant::now();
        let r = Trunk::load(
            &runtime,
            card,
            &model,
            TrunkOptions {
                device: Device::Cpu,
                threads,
                kernels,
            },
        );
        println!("{kernels}: loaded in {:.2} s", t.elapsed().as_secs_f64());
        r
    };
    let mut trunks = [load(Kernels::OnnxRuntime)?, load(Kernels::Winograd)?];
    println!("{}", trunks[1].replacement().unwrap().summary());
    for n in [20, 1] {
        let tensor: Vec<f32> = (0..n * 224 * 224 * 3)
            .map(|i| ((i * 7919) % 256) as f32 - 128.0)
            .collect();
        let mut rates = [vec![], vec![]];
        let mut codes = [vec![], vec![]];
        for _ in 0..rounds {
            for i in 0..2 {
                let t = Instant::now();
                trunks[i].run(&tensor, n, &mut codes[i])?;
                rates[i].push(n as f64 / t.elapsed().as_secs_f64());
            }
        }
        let mut ratios: Vec<f64> = rates[0].iter().zip(&rates[1]).map(|(a, b)| b / a).collect();
        for r in rates.iter_mut().chain([&mut ratios]) {
            r.sort_by(f64::total_cmp);
        }
        let m = rounds / 2;
        let d: f64 = codes[0]
            .iter()
            .zip(&codes[1])
            .map(|(a, b)| ((a - b) as f64).powi(2))
            .sum();
        let s: f64 = codes[0].iter().map(|a| (*a as f64).powi(2)).sum();
        println!(
            "batch {n}: onnxruntime {:.2}, winograd {:.2} pictures/s, ratio {:.2}; relative difference {:.2e}",
            rates[0][m],
            rates[1][m],
            ratios[m],
            (d / s).sqrt()
        );
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    println!(
        "{}",
        status.lines().find(|l| l.starts_with("VmHWM")).unwrap()
    );
    Ok(())
}
