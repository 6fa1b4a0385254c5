//! Class names as they come, and their indices once all are known.

use std::collections::HashMap;

use super::{DatasetError, Picture};

/// Collects class names in any order.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Names, each with its place in the order of their coming.
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

    /// The name behind a provisional index; empty where there is none.
    pub(super) fn name(&self, place: Option<usize>) -> &str {
        let mut places = self.places.iter();
        let found = places.find(|(_, known)| Some(**known) == place);
        found.map_or("", |(name, _)| name)
    }

    /// Sorts the names that `pictures` have by code points, and turns provisional labels into
    /// indices.
    ///
    /// No name at all is fine, the pictures are unlabelled then; `input` says in an error where
    /// they come from.
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
