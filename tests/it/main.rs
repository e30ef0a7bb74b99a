//! The real service between both fakes, over real HTTP: one binary, one file per promise.

mod house;

mod looking_up;
