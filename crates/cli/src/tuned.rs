//! Stores of a layer before the end, through the tuned layers of a head.

use std::path::Path;

use cnn_codes::codes::{CodesIdentity, Store};
use cnn_codes::model::TunedTail;
use cnn_codes::tune::behind;

use crate::models::ModelsOption;
use crate::trunk::TrunkOption;

/// The store as the heads of HEAD take it: where HEAD has tuned layers and the store holds what they take, the codes
/// that they make of it; pooled, or with some of its layers, where only that is between them.
pub fn taken_by(
    head: &Path,
    codes: &CodesIdentity,
    store: Store,
    trunk: &TrunkOption,
    models: &ModelsOption,
) -> anyhow::Result<Store> {
    let tuned = TunedTail::beside(head)?;
    let front = &store.manifest().store.codes;
    let Some(tuned) = tuned.filter(|tuned| tuned.from() == front.output.name) else {
        return Ok(store.taken_as(codes)?);
    };
    let is_prepared_alike = front.recipe == codes.recipe && front.resize == codes.resize;
    if front.trunk.name != codes.trunk.name || !is_prepared_alike {
        return Ok(store);
    }
    let (card, path) = trunk.find(&models.path()?, &codes.trunk.name)?;
    let published = card.read_model(&path)?;
    card.check_weights(&published)?;
    Ok(behind(&store, &tuned.tail(&published)?, codes)?)
}
