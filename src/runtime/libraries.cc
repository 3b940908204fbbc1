// Tells which libraries are in this program; see the header.
#include "haft/format/runtime_libraries.h"

namespace haft {
namespace {

constexpr char kLibraries[] = HAFT_LIBRARIES;

constexpr auto MakeNote() {
  format::LibrariesNote<(sizeof kLibraries + 3) / 4 * 4> note;
  for (std::size_t i = 0; i + 1 < sizeof kLibraries; ++i) note.text[i] = kLibraries[i];
  return note;
}

// Nobody refers to it; linkers keep notes.
[[gnu::section(".note.haft"), gnu::used]] alignas(4) constexpr auto kNote = MakeNote();

}  // namespace
}  // namespace haft
