use cnn_codes::codes::Store;
use cnn_codes::head::Samples;
use cnn_codes::head::logistic::{Logistic, LogisticOptions};
fn main() {
    let store = Store::open(std::path::Path::new(&std::env::args().nth(1).unwrap())).unwrap();
    let samples = Samples::of_store(&store).unwrap();
    for l2 in [1e4, 1e2, 1.0, 1e-2, 1e-4] {
        let t = std::time::Instant::now();
        let fit = Logistic::fit(
            &samples,
            &LogisticOptions {
                l2,
                ..Default::default()
            },
        )
        .unwrap();
        println!(
            "l2 {l2}: {:.3} s {:?}",
            t.elapsed().as_secs_f64(),
            fit.convergence
        );
    }
    let strengths: Vec<f64> = (0..10)
        .map(|i| 10f64.powf(-4.0 + 8.0 * i as f64 / 9.0))
        .collect();
    let t = std::time::Instant::now();
    let fits = Logistic::fit_path(
        &samples,
        &strengths,
        &LogisticOptions::default(),
        &mut |_| std::ops::ControlFlow::Continue(()),
    )
    .unwrap();
    println!("path {:.3} s", t.elapsed().as_secs_f64());
    for f in fits {
        println!("   {:?}", f.unwrap().convergence);
    }
}
