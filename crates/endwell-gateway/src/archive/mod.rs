//! Folders as archives, made while they are sent.
//!
//! Reads: a folder, whose listing is fixed first. Gives: an archive whose every entry is what was
//! listed. Never: looks whole when an entry could not be read or changed meanwhile.

mod tree;

mod folders;

mod walk;

mod notes;

mod broken;

mod open;

mod pack;

mod tar;

mod layout;

mod zip;
