//! The real service between both fakes, over real HTTP: one binary, one file per promise.

mod house;

mod documents;
mod looking_up;
mod walls;
