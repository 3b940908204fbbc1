// Unpacked images on disk. One directory of a location, called NAME-IMAGEID, is an entry; it holds
// the tree as NAME and, once that is complete, the file "complete". The entry is locked (flock)
// shared by those who use it, exclusively by who fills or removes it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "haft/base/error.h"
#include "haft/base/unique_fd.h"
#include "haft/image/image_reader.h"

namespace haft {

class CacheEntry {
 public:
  enum class State { kComplete, kToBeFilled };

  // Opens or makes the entry for `reader`'s image in the directory `location` and locks it: shared
  // if it is complete and has all files of the image with the right sizes and times, else
  // exclusively and empty. Waits while another process fills it.
  static Result<CacheEntry> Open(int location, const std::string& location_path,
                                 const std::string& name, const ImageReader& reader);

  State state() const { return state_; }
  int fd() const { return fd_.get(); }  // whoever holds a copy holds the lock
  std::string tree_path() const { return path_ + "/" + name_; }

  // Unpacks with one thread per CPU; afterwards the entry is complete and locked shared. After a
  // failure it is gone. `durable`: also after a power failure it is complete or not at all.
  // REQUIRES: state() is kToBeFilled.
  Result<> Fill(const ImageReader& reader, bool durable);

  // Removes it unless somebody else has it locked. May be called in a child that inherited it.
  void RemoveIfUnlocked();

 private:
  CacheEntry(int location, std::string entry, std::string path, std::string name, UniqueFd fd,
             State state);
  Result<> FillTree(const ImageReader& reader, bool durable);

  int location_;  // not owned
  std::string entry_;
  std::string path_;
  std::string name_;
  UniqueFd fd_;
  State state_;
};

// An entry as somebody finds it in a location.
struct FoundCacheEntry {
  std::string name;      // of the bundle
  std::string image_id;  // hexadecimal
  std::string path;
  std::uint64_t bytes;    // of all files; 0 if it is not complete
  std::int64_t last_use;  // seconds since 1970: the last start with it
  bool complete;
};

// All entries of a location.
std::vector<FoundCacheEntry> FindCacheEntries(int location, const std::string& location_path);

// Whether it is locked or some process uses it.
bool IsEntryInUse(int location, const FoundCacheEntry& entry);

// Removes an entry unless it is locked or some process uses it; says whether it is gone.
bool RemoveUnusedEntry(int location, const FoundCacheEntry& entry);

}  // namespace haft
