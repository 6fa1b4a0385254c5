//! Class names in the order in which they appear, and their indices once all are known.

use std::collections::HashMap;

use super::{DatasetError, Picture};

/// Collects class names in any order.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Names, each with its provisional index: the order of appearance.
    places: HashMap<String, usize>,
}

impl Classes {
    /// The provisional index of `name`, which [`Classes::assign`] replaces.
    pub(super) fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.places.len();
        self.places.insert(name.to_owned(), place);
        place
    }

    /// The name behind a provisional index; empty if there is none.
    pub(super) fn name(&self, place: Option<usize>) -> &str {
        let mut places = self.places.iter();
        let found = places.find(|(_, known)| Some(**known) == place);
        found.map_or("", |(name, _)| name)
    }

    /// Sorts the names that `pictures` use by code points, and replaces provisional labels by
    /// indices.
    ///
    /// Having no names at all is fine: the pictures are then unlabelled. `input` names the source
    /// of the pictures in errors.
    pub(super) fn assign(
        self,
        input: &str,
        pictures: &mut [Picture],
    ) -> Result<Vec<String>, DatasetError> {
        let mut is_used = vec![false; self.places.len()];
        for place in pictures.iter().filter_map(|picture| picture.label) {
            is_used[place] = true;
        }
        let mut named: Vec<_> = self.places.into_iter().collect();
        named.retain(|(_, place)| is_used[*place]);
        named.sort();
        if let [(class, _)] = named.as_slice() {
            return Err(DatasetError::OneLabel {
                input: input.to_owned(),
                class: class.clone(),
            });
        }
        let mut indices = vec![0; is_used.len()];
        for (index, (_, place)) in named.iter().enumerate() {
            indices[*place] = index;
        }
        for picture in pictures {
            picture.label = picture.label.map(|place| indices[place]);
        }
        Ok(named.into_iter().map(|(name, _)| name).collect())
    }
}
