// Trees as text, to compare what a damaged image shows with what it should show.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "haft/image/image_reader.h"
#include "haft/tree/tree.h"

namespace haft::testing {

// Files, directories, links, holes, odd names, modes and times, several blocks of 4096 bytes and
// more than one chunk of index. `files` small ones are in "many/".
Tree SampleTree(unsigned files = 300);
std::vector<std::byte> SampleImage(unsigned files = 300);

// Aborts if there is no image in it.
ImageReader OpenReader(UniqueFd file, std::size_t cache_bytes = 16u << 20);
ImageReader OpenReader(std::span<const std::byte> image);

// Path ("" for the root) to everything the reader says about it: type, mode, times, size, bytes,
// target. What cannot be read is "error: MESSAGE"; a name that cannot be read is listed as
// DIRECTORY/#NUMBER.
using Snapshot = std::map<std::string, std::string>;
// Reads at most `max_bytes` from the front of each file.
Snapshot TakeSnapshot(const ImageReader& reader, std::uint64_t max_bytes = 4u << 20);
// One line for an entry, as in a snapshot.
std::string DescribeEntry(const ImageReader& reader, const DirectoryEntry& entry,
                          std::uint64_t max_bytes = 4u << 20);

bool IsError(std::string_view description);

// What `seen` claims without an error and that is not so: other contents, names that do not exist,
// names left out of a listing that reports no error. Names below a path for which `ignored` is true
// are not compared.
std::vector<std::string> SilentDifferences(
    const Snapshot& expected, const Snapshot& seen,
    const std::function<bool(const std::string&)>& ignored = {});
// The same for look-ups by path instead of listings.
std::vector<std::string> SilentLookupDifferences(
    const Snapshot& expected, const ImageReader& reader,
    const std::function<bool(const std::string&)>& ignored = {});

// Processor seconds of this thread.
double ThreadSeconds();
// What this process has ever had in memory at once.
long MaxResidentKib();

}  // namespace haft::testing
