#include "haft/mount/cache_entry.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "format/forged_image.h"
#include "haft/base/file_io.h"
#include "haft/format/bundle_file.h"
#include "haft/format/digest.h"
#include "image/snapshot.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;
using testing::OpenReader;
using testing::ReadTestFile;
using testing::SampleImage;
using testing::TempDir;
using testing::WriteTestFile;
using State = CacheEntry::State;

class CacheEntryTest : public ::testing::Test {
 protected:
  CacheEntryTest()
      : reader_(OpenReader(SampleImage(1))),
        id_(format::ToHex(reader_.bundle().trailer.root)),
        location_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        name_("app-" + id_),
        path_(dir_ / name_) {}

  Result<CacheEntry> Open() {
    return CacheEntry::Open(location_.get(), dir_.path(), "app", reader_);
  }

  // As a start leaves it that has ended.
  void FillOne() {
    auto entry = Open();
    ASSERT_EQ(Message(entry), "");
    ASSERT_EQ(entry->state(), State::kToBeFilled);
    ASSERT_EQ(Message(entry->Fill(reader_, false)), "");
    EXPECT_EQ(entry->state(), State::kComplete);
  }

  void ExpectState(State state) {
    auto entry = Open();
    ASSERT_EQ(Message(entry), "");
    EXPECT_EQ(entry->state(), state);
  }

  FoundCacheEntry Found() {
    auto entries = FindCacheEntries(location_.get(), dir_.path());
    EXPECT_EQ(entries.size(), 1u);
    return entries.empty() ? FoundCacheEntry{} : entries[0];
  }

  TempDir dir_;
  ImageReader reader_;
  std::string id_;
  UniqueFd location_;
  std::string name_;
  std::string path_;
};

TEST_F(CacheEntryTest, IsFilledOnceAndThenUsed) {
  FillOne();
  auto entry = Open();
  ASSERT_EQ(Message(entry), "");
  EXPECT_EQ(entry->state(), State::kComplete);
  EXPECT_EQ(entry->tree_path(), path_ + "/app");
  EXPECT_EQ(ReadTestFile(entry->tree_path() + "/many/0000"), "file 0\n");
  EXPECT_EQ(dir_.List(), std::vector<std::string>{name_});
  EXPECT_EQ(Message(Open()), "") << "by two at a time";
}

TEST_F(CacheEntryTest, OtherContentsWithAStolenIdAreNotUnpackedUnderIt) {
  testing::ForgedImage victim(SampleImage(1));
  const std::vector<std::byte> good = victim.Bytes();
  std::vector<std::byte> evil = good;
  const std::uint64_t stored = victim.BlockOf("many/0000").offset;
  evil[stored] ^= std::byte{1};
  {
    // The block is not the one that the root names: it is an error, and nothing is kept.
    ImageReader reader = OpenReader(evil);
    EXPECT_EQ(reader.image_id(), OpenReader(good).image_id());
    auto entry = CacheEntry::Open(location_.get(), dir_.path(), "app", reader);
    ASSERT_EQ(Message(entry), "");
    auto filled = entry->Fill(reader, false);
    ASSERT_FALSE(filled);
    EXPECT_EQ(filled.error().kind(), ErrorKind::kCorrupt);
    EXPECT_EQ(dir_.List(), std::vector<std::string>());
  }
  // With digests that hold up to the trailer, and the root of the other.
  victim.contents[stored - sizeof(format::Header)] ^= 1;
  format::Block& block = victim.BlockOf("many/0000");
  block.digest =
      format::Sha256Of(AsBytes(std::string_view(victim.contents)
                                   .substr(stored - sizeof(format::Header), block.stored_size)));
  evil = victim.Bytes();
  EXPECT_NE(OpenReader(evil).image_id(), OpenReader(good).image_id());
  const format::Digest root = testing::TrailerOf(good).root;
  std::ranges::copy(std::as_bytes(std::span(root)), evil.end() - sizeof root);
  EXPECT_EQ(Message(ImageReader::Open(testing::MemoryFile(evil))),
            "the trailer is damaged; copy the file again");
}

TEST_F(CacheEntryTest, WhatAKilledStartLeftIsEmptiedAndFilledAgain) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  WriteTestFile(path_ + "/app/many/0000", "half");
  WriteTestFile(path_ + "/other", "");
  {
    auto entry = Open();
    ASSERT_EQ(Message(entry), "");
    EXPECT_EQ(entry->state(), State::kToBeFilled);
    EXPECT_NE(::access((path_ + "/app").c_str(), F_OK), 0);
    EXPECT_NE(::access((path_ + "/other").c_str(), F_OK), 0);
  }
  FillOne();
  EXPECT_EQ(ReadTestFile(path_ + "/app/many/0000"), "file 0\n");
}

TEST_F(CacheEntryTest, WithoutItsMarkerOrAFileItIsNotComplete) {
  FillOne();
  ASSERT_EQ(::unlink((path_ + "/complete").c_str()), 0);
  FillOne();
  ASSERT_EQ(::unlink((path_ + "/app/many/0000").c_str()), 0);
  FillOne();
  WriteTestFile(path_ + "/app/many/0000", "file 0, longer\n");
  FillOne();
  ASSERT_EQ(::unlink((path_ + "/complete").c_str()), 0);
  ASSERT_EQ(::symlink("app/many/0000", (path_ + "/complete").c_str()), 0);
  FillOne();
  ExpectState(State::kComplete);
}

TEST_F(CacheEntryTest, SecondStartWaitsForTheFirst) {
  auto first = Open();
  ASSERT_EQ(Message(first), "");
  std::thread filler([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(Message(first->Fill(reader_, true)), "");
  });
  ExpectState(State::kComplete);
  filler.join();
}

TEST_F(CacheEntryTest, SecondStartTakesOverFromAFirstThatFails) {
  auto first = Open();
  ASSERT_EQ(Message(first), "");
  ASSERT_EQ(::mkdir((path_ + "/app").c_str(), 0700), 0);  // in the way
  std::thread filler([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(Message(first->Fill(reader_, false)), "'" + path_ + "/app': File exists");
    first = Failure(Error(ErrorKind::kSystem, "ended"));  // and with it the lock
  });
  FillOne();
  filler.join();
  ExpectState(State::kComplete);
}

TEST_F(CacheEntryTest, AfterAFailureItIsGone) {
  auto entry = Open();
  ASSERT_EQ(Message(entry), "");
  ASSERT_EQ(::mkdir((path_ + "/app").c_str(), 0700), 0);
  EXPECT_NE(Message(entry->Fill(reader_, false)), "");
  EXPECT_TRUE(dir_.List().empty());
}

TEST_F(CacheEntryTest, RefusesWhatOthersHavePlanted) {
  ASSERT_EQ(::mkdir((dir_ / "elsewhere").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("elsewhere", path_.c_str()), 0);
  EXPECT_EQ(Message(Open()), "'" + path_ + "': Not a directory");
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  WriteTestFile(path_, "");
  EXPECT_EQ(Message(Open()), "'" + path_ + "': Not a directory");
  if (::geteuid() != 0) return;
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  ASSERT_EQ(::mkdir(path_.c_str(), 0755), 0);
  ASSERT_EQ(::chown(path_.c_str(), 65534, 65534), 0);
  EXPECT_EQ(Message(Open()), "'" + path_ + "': belongs to another user");
}

TEST_F(CacheEntryTest, IsRemovedWhenNobodyElseHasIt) {
  FillOne();
  auto first = Open(), second = Open();
  ASSERT_EQ(Message(first) + Message(second), "");
  first->RemoveIfUnlocked();
  EXPECT_EQ(dir_.List(), std::vector<std::string>{name_});
  second = Failure(Error(ErrorKind::kSystem, "ended"));
  first->RemoveIfUnlocked();
  EXPECT_TRUE(dir_.List().empty());
  first->RemoveIfUnlocked();  // it is gone: nothing to do
}

TEST_F(CacheEntryTest, IsFoundWithItsSizeAndLastUse) {
  EXPECT_TRUE(FindCacheEntries(location_.get(), dir_.path()).empty());
  for (const std::string& other :
       {std::string("no-entry"), std::string("app-0123"), "odd name-" + id_}) {
    ASSERT_EQ(::mkdir((dir_ / other).c_str(), 0700), 0);
  }
  WriteTestFile(dir_ / ("file-" + id_), "");
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  EXPECT_FALSE(Found().complete);
  FillOne();
  timespec long_ago[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (path_ + "/complete").c_str(), long_ago, 0), 0);
  FoundCacheEntry entry = Found();
  EXPECT_EQ(entry.name, "app");
  EXPECT_EQ(entry.image_id, id_);
  EXPECT_EQ(entry.path, path_);
  EXPECT_EQ(entry.bytes, reader_.bundle().trailer.content_size);
  EXPECT_EQ(entry.last_use, 1000);
  EXPECT_TRUE(entry.complete);
  ExpectState(State::kComplete);
  EXPECT_GT(Found().last_use, 1'000'000'000) << "a start is a use";
}

TEST_F(CacheEntryTest, IsNotPrunedWhileItIsLockedOrAProcessIsInIt) {
  FillOne();
  FoundCacheEntry found = Found();
  {
    auto user = Open();
    ASSERT_EQ(Message(user), "");
    EXPECT_TRUE(IsEntryInUse(location_.get(), found));
    EXPECT_FALSE(RemoveUnusedEntry(location_.get(), found));
  }
  EXPECT_FALSE(IsEntryInUse(location_.get(), found));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd ready(ends[0]), say(ends[1]);
  pid_t process = ::fork();
  if (process == 0) {
    if (::chdir((path_ + "/app/many").c_str()) == 0 && ::write(say.get(), "r", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte;
  ASSERT_EQ(::read(ready.get(), &byte, 1), 1);
  EXPECT_TRUE(IsEntryInUse(location_.get(), found));
  EXPECT_FALSE(RemoveUnusedEntry(location_.get(), found));
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  EXPECT_FALSE(IsEntryInUse(location_.get(), found));
  EXPECT_TRUE(RemoveUnusedEntry(location_.get(), found));
  EXPECT_TRUE(dir_.List().empty());
  EXPECT_TRUE(RemoveUnusedEntry(location_.get(), found)) << "gone is gone";
}

}  // namespace
}  // namespace haft
