//! The part of Python's pickle machine that weights need: protocol 2, data, three constructors.

use std::collections::HashMap;
use std::rc::Rc;

use super::error::PytorchError;

/// Most instructions of a pickle; the largest of the known files have 14,000.
const MOST_INSTRUCTIONS: usize = 1 << 20;

/// Most axes of a tensor: a shape is copied for each tensor that names it.
const MOST_AXES: usize = 8;

/// An index into [`Machine::values`].
type Place = usize;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// Little-endian bytes of a number that may not fit an integer.
    LargeInt(Vec<u8>),
    Text(Rc<str>),
    Tuple(Vec<Place>),
    List(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    Name(Name),
    Storage(Storage),
    Tensor(TensorView),
}

/// Objects that may be named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    FloatStorage,
    LongStorage,
}

/// A storage later in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub(super) key: Rc<str>,
    pub(super) kind: Name,
    pub(super) len: usize,
}

/// A view into a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorView {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The machine after running a pickle.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// All values ever made. The stack and the memo hold indices into it, so that a dictionary
    /// filled later is filled wherever it is named.
    values: Vec<Value>,
    stack: Vec<Place>,
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl Machine {
    /// Runs the pickle at `place`, and moves `place` to its end.
    pub(super) fn run(bytes: &[u8], place: &mut usize) -> Result<Self, PytorchError> {
        let mut machine = Self::default();
        let mut reader = Reader {
            bytes,
            place: *place,
        };
        for _ in 0..MOST_INSTRUCTIONS {
            let start = reader.place;
            if machine.step(&mut reader)? {
                *place = reader.place;
                return match machine.stack.len() {
                    1 => Ok(machine),
                    _ => Err(damaged(start, "a pickle ends with other than one value")),
                };
            }
        }
        Err(damaged(*place, "a pickle has too many instructions"))
    }

    /// The pickle's result.
    pub(super) fn result(&self) -> &Value {
        &self.values[self.stack[0]]
    }

    /// Whether the result is a dictionary in which `little_endian` is true.
    pub(super) fn says_little_endian(&self) -> bool {
        let Value::Dict(entries) = self.result() else {
            return false;
        };
        entries.iter().any(|&(key, value)| {
            self.values[key] == Value::Text("little_endian".into())
                && self.values[value] == Value::Bool(true)
        })
    }

    /// The tensors of a dictionary, by name, in order.
    pub(super) fn named_tensors(&self) -> Result<Vec<(&str, &TensorView)>, PytorchError> {
        let not_weights = || PytorchError::OtherFormat {
            reason: "it holds something other than tensors by their names".to_owned(),
        };
        let Value::Dict(entries) = self.result() else {
            return Err(not_weights());
        };
        let entries =
            entries.iter().map(
                |&(key, value)| match (&self.values[key], &self.values[value]) {
                    (Value::Text(name), Value::Tensor(tensor)) => Ok((&**name, tensor)),
                    _ => Err(not_weights()),
                },
            );
        entries.collect()
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        let Value::List(items) = self.result() else {
            return None;
        };
        let texts = items.iter().map(|&item| match &self.values[item] {
            Value::Text(text) => Some(&**text),
            _ => None,
        });
        texts.collect()
    }

    /// Runs one instruction; returns whether it was the last.
    fn step(&mut self, reader: &mut Reader) -> Result<bool, PytorchError> {
        let place = reader.place;
        let code = reader.byte("an instruction")?;
        match code {
            0x80 => {
                if reader.byte("a protocol")? != 2 {
                    return Err(damaged(place, "a pickle is of another protocol than 2"));
                }
            }
            b'.' => return Ok(true),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' => {
                let number = reader.byte("a number")?;
                self.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(reader.array("a number")?);
                self.push(Value::Int(number.into()));
            }
            b'J' => {
                let number = i32::from_le_bytes(reader.array("a number")?);
                self.push(Value::Int(number.into()));
            }
            0x8a => {
                let len = reader.byte("a number")?;
                let number = reader.slice(len.into(), "a number")?.to_vec();
                self.push(Value::LargeInt(number));
            }
            b'X' => {
                let len = u32::from_le_bytes(reader.array("a text")?);
                let text = reader.slice(len as usize, "a text")?;
                let text = std::str::from_utf8(text);
                let text = text.map_err(|_| damaged(place, "a text is not UTF-8"))?;
                self.push(Value::Text(text.into()));
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.since_mark(place)?;
                self.push(Value::Tuple(items));
            }
            0x85 => {
                let items = vec![self.pop(place)?];
                self.push(Value::Tuple(items));
            }
            0x86 => {
                let second = self.pop(place)?;
                let items = vec![self.pop(place)?, second];
                self.push(Value::Tuple(items));
            }
            b's' => {
                let value = self.pop(place)?;
                let key = self.pop(place)?;
                self.dict(place)?.push((key, value));
            }
            b'u' => {
                let items = self.since_mark(place)?;
                let (pairs, rest) = items.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(damaged(place, "a key has no value"));
                }
                let pairs = pairs.iter().map(|&[key, value]| (key, value));
                self.dict(place)?.extend(pairs);
            }
            b'e' => {
                let items = self.since_mark(place)?;
                match self.top(place)? {
                    Value::List(list) => list.extend(items),
                    _ => return Err(damaged(place, "items are added to what is no list")),
                }
            }
            b'q' => {
                let index = reader.byte("a place in the memo")?;
                self.remember(index.into(), place)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(reader.array("a place in the memo")?);
                self.remember(index, place)?;
            }
            b'h' => {
                let index = reader.byte("a place in the memo")?;
                self.recall(index.into(), place)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(reader.array("a place in the memo")?);
                self.recall(index, place)?;
            }
            b'c' => {
                let module = reader.line("a name")?;
                let name = reader.line("a name")?;
                let name = match (module, name) {
                    ("collections", "OrderedDict") => Name::OrderedDict,
                    ("torch._utils", "_rebuild_tensor_v2") => Name::RebuildTensor,
                    ("torch", "FloatStorage") => Name::FloatStorage,
                    ("torch", "LongStorage") => Name::LongStorage,
                    _ => {
                        let name = format!("{module}.{name}");
                        return Err(PytorchError::Name { name, place });
                    }
                };
                self.push(Value::Name(name));
            }
            b'R' => {
                let arguments = self.pop(place)?;
                let called = self.pop(place)?;
                let made = self.call(called, arguments, place)?;
                self.push(made);
            }
            b'Q' => {
                let identity = self.pop(place)?;
                let storage = self.storage(identity, place)?;
                self.push(Value::Storage(storage));
            }
            // The attributes of a dictionary are facts about modules, which are not used here.
            b'b' => {
                self.pop(place)?;
                self.dict(place)?;
            }
            _ => return Err(PytorchError::Instruction { code, place }),
        }
        Ok(false)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// The topmost value above the last mark.
    fn pop(&mut self, place: usize) -> Result<Place, PytorchError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(damaged(place, "a value is missing"));
        }
        self.stack
            .pop()
            .ok_or_else(|| damaged(place, "a value is missing"))
    }

    fn since_mark(&mut self, place: usize) -> Result<Vec<Place>, PytorchError> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| damaged(place, "a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self, place: usize) -> Result<&mut Value, PytorchError> {
        let top = self.stack.last();
        let top = top.ok_or_else(|| damaged(place, "a value is missing"))?;
        Ok(&mut self.values[*top])
    }

    fn dict(&mut self, place: usize) -> Result<&mut Vec<(Place, Place)>, PytorchError> {
        match self.top(place)? {
            Value::Dict(entries) => Ok(entries),
            _ => Err(damaged(place, "what is no dictionary is used as one")),
        }
    }

    fn remember(&mut self, index: u32, place: usize) -> Result<(), PytorchError> {
        let top = self.stack.last();
        let top = top.ok_or_else(|| damaged(place, "a value is missing"))?;
        self.memo.insert(index, *top);
        Ok(())
    }

    fn recall(&mut self, index: u32, place: usize) -> Result<(), PytorchError> {
        let found = self.memo.get(&index);
        let found = found.ok_or_else(|| damaged(place, "the memo has no such value"))?;
        self.stack.push(*found);
        Ok(())
    }

    /// The result of a constructor, for its arguments.
    fn call(&self, called: Place, arguments: Place, place: usize) -> Result<Value, PytorchError> {
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err(damaged(place, "a constructor has no arguments"));
        };
        match (&self.values[called], &arguments[..]) {
            (Value::Name(Name::OrderedDict), []) => Ok(Value::Dict(Vec::new())),
            (
                Value::Name(Name::RebuildTensor),
                &[storage, offset, shape, strides, _requires_grad, _hooks],
            ) => {
                let Value::Storage(storage) = &self.values[storage] else {
                    return Err(damaged(place, "a tensor has no storage"));
                };
                Ok(Value::Tensor(TensorView {
                    storage: storage.clone(),
                    offset: self.count(offset, place)?,
                    shape: self.counts(shape, place)?,
                    strides: self.counts(strides, place)?,
                }))
            }
            _ => Err(damaged(
                place,
                "something other than a constructor is called",
            )),
        }
    }

    /// The storage that a persistent identity names: ("storage", kind, key, device, length, None).
    fn storage(&self, identity: Place, place: usize) -> Result<Storage, PytorchError> {
        let wrong = || damaged(place, "a storage is named in another way than PyTorch does");
        let Value::Tuple(parts) = &self.values[identity] else {
            return Err(wrong());
        };
        let &[word, kind, key, _device, len, view] = &parts[..] else {
            return Err(wrong());
        };
        match (
            &self.values[word],
            &self.values[kind],
            &self.values[key],
            &self.values[view],
        ) {
            (
                Value::Text(word),
                &Value::Name(kind @ (Name::FloatStorage | Name::LongStorage)),
                Value::Text(key),
                Value::None,
            ) if &**word == "storage" => Ok(Storage {
                key: key.clone(),
                kind,
                len: self.count(len, place)?,
            }),
            _ => Err(wrong()),
        }
    }

    fn count(&self, number: Place, place: usize) -> Result<usize, PytorchError> {
        let count = match self.values[number] {
            Value::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        count.ok_or_else(|| damaged(place, "a count is no number from 0 on"))
    }

    fn counts(&self, tuple: Place, place: usize) -> Result<Vec<usize>, PytorchError> {
        match &self.values[tuple] {
            Value::Tuple(numbers) if numbers.len() > MOST_AXES => {
                Err(damaged(place, "a tensor has more than 8 axes"))
            }
            Value::Tuple(numbers) => {
                let numbers = numbers.iter();
                numbers.map(|&number| self.count(number, place)).collect()
            }
            _ => Err(damaged(place, "a shape is no tuple")),
        }
    }
}

fn damaged(place: usize, reason: &'static str) -> PytorchError {
    PytorchError::Damaged { reason, place }
}

/// Bytes that are read from front to back.
struct Reader<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], PytorchError> {
        let rest = self.bytes.get(self.place..).unwrap_or_default();
        let place = self.place;
        let slice = rest.get(..len);
        let slice = slice.ok_or(PytorchError::CutShort { what, place })?;
        self.place += len;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PytorchError> {
        let slice = self.slice(N, what)?;
        Ok(slice.try_into().expect("it is that long"))
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, PytorchError> {
        let [byte] = self.array(what)?;
        Ok(byte)
    }

    /// The bytes up to the next line end, without it.
    fn line(&mut self, what: &'static str) -> Result<&'a str, PytorchError> {
        let place = self.place;
        let rest = self.bytes.get(place..).unwrap_or_default();
        let len = rest.iter().position(|&byte| byte == b'\n');
        let len = len.ok_or(PytorchError::CutShort { what, place })?;
        self.place += len + 1;
        std::str::from_utf8(&rest[..len]).map_err(|_| damaged(place, "a name is not UTF-8"))
    }
}
