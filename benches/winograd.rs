//! Draft: per-layer times.
use cnn_codes::model::winograd::*;
use std::time::Instant;
fn main() {
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let n = args.first().copied().unwrap_or(4);
    let threads = args.get(1).copied().unwrap_or(1);
    let layers = [
        (64, 64, 224, true),
        (64, 128, 112, false),
        (128, 128, 112, true),
        (128, 256, 56, false),
        (256, 256, 56, false),
        (256, 256, 56, true),
        (256, 512, 28, false),
        (512, 512, 28, false),
        (512, 512, 28, true),
        (512, 512, 14, false),
        (512, 512, 14, false),
        (512, 512, 14, true),
    ];
    let scratch = Scratch::default();
    let mut total = 0.0;
    for (ci, co, side, pool) in layers {
        let w: Vec<f32> = (0..ci * co * 9)
            .map(|i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5)
            .collect();
        let bias = vec![0.1; co];
        let conv = Convolution::new(
            Weights {
                filters: &w,
                bias: &bias,
                n_in: ci,
            },
            Ending { relu: true, pool },
        );
        let shape = Shape {
            n,
            height: side,
            width: side,
        };
        let input = vec![[0.5f32; 16]; n * ci / 16 * side * side];
        let os = conv.output_shape(shape);
        let mut output = vec![[0f32; 16]; n * co / 16 * os.height * os.width];
        let mut times = vec![];
        for _ in 0..5 {
            let t = Instant::now();
            conv.run(
                &input,
                shape,
                &mut output,
                threads,
                &scratch,
                |pieces, work| {
                    let next = std::sync::atomic::AtomicUsize::new(0);
                    std::thread::scope(|s| {
                        for _ in 1..threads {
                            s.spawn(|| {
                                loop {
                                    let p = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                                    if p >= pieces {
                                        break;
                                    }
                                    work(p)
                                }
                            });
                        }
                        loop {
                            let p = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            if p >= pieces {
                                break;
                            }
                            work(p)
                        }
                    });
                },
            );
            times.push(t.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let t = times[2];
        total += t;
        let flops = 2.0 * 36.0 * (n * side.div_ceil(4) * side.div_ceil(4) * ci * co) as f64;
        println!(
            "{ci:4} {co:4} {side:4}: {:8.2} ms/picture, {:7.1} GFLOP/s of products",
            t * 1e3 / n as f64,
            flops / t / 1e9
        );
    }
    println!(
        "total {:.2} ms/picture = {:.2} pictures/s",
        total * 1e3 / n as f64,
        n as f64 / total
    );
}
