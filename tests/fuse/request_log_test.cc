#include "haft/fuse/request_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "haft/base/file_io.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::Expect;
using testing::MemoryFile;
using testing::Message;

RequestLog Create(std::size_t capacity) {
  auto log = RequestLog::Create(capacity);
  EXPECT_EQ(Message(log), "");
  return *std::move(log);
}

void Write(RequestLog& log, std::uint64_t begin, std::uint64_t end) {
  RequestRecord* record = log.Add();
  ASSERT_NE(record, nullptr);
  record->begin = begin;
  record->end = end;
}

TEST(RequestLogTest, HoldsWhatIsCompleteInTheOrderOfTime) {
  RequestLog log = Create(10);
  Write(log, 30, 40);
  Write(log, 10, 20);
  Write(log, 50, 0);  // being answered
  auto records = log.Records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].begin, 10u);
  EXPECT_EQ(records[1].begin, 30u);
  EXPECT_TRUE(log.Busy());
  EXPECT_EQ(log.dropped(), 0u);
}

TEST(RequestLogTest, CountsWhatDoesNotFit) {
  RequestLog log = Create(2);
  Write(log, 1, 2);
  Write(log, 3, 4);
  EXPECT_EQ(log.Add(), nullptr);
  EXPECT_EQ(log.Add(), nullptr);
  EXPECT_EQ(log.Records().size(), 2u);
  EXPECT_EQ(log.dropped(), 2u);
  EXPECT_FALSE(log.Busy());
}

TEST(RequestLogTest, AnotherProcessWritesThroughTheDescriptor) {
  RequestLog log = Create(10);
  pid_t child = ::fork();
  if (child == 0) {
    if (!RecordRequests(fmt::format("{}", log.fd())) || !RecordsRequests()) ::_exit(1);
    if (CurrentRequest() != nullptr) ::_exit(2);
    {
      RequestSpan span(5, 77);
      if (CurrentRequest() == nullptr) ::_exit(3);
      CurrentRequest()->inode = 9;
    }
    ::_exit(CurrentRequest() == nullptr ? 0 : 4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  auto records = log.Records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(OperationName(records[0].operation), "read");
  EXPECT_EQ(records[0].requester, 77);
  EXPECT_EQ(records[0].server, child);
  EXPECT_EQ(records[0].inode, 9u);
  EXPECT_EQ(records[0].first_block, RequestRecord::kNoBlock);
  EXPECT_GE(records[0].end, records[0].begin);
}

TEST(RequestLogTest, NothingIsRecordedWithoutALog) {
  EXPECT_FALSE(RecordsRequests());
  RequestSpan span(5, 77);
  EXPECT_EQ(CurrentRequest(), nullptr);
}

TEST(RequestLogTest, RefusesWhatIsNoLog) {
  const std::string bytes(4096, '\0');
  EXPECT_EQ(Message(RequestLog::Open(MemoryFile(AsBytes(bytes)))),
            "not a request log of 'haft trace'");
  // Of the right form, but it could be cut off under the mapping.
  RequestLog log = Create(4);
  std::vector<std::byte> copy(5 * sizeof(RequestRecord));
  ASSERT_EQ(::pread(log.fd(), copy.data(), copy.size(), 0), static_cast<ssize_t>(copy.size()));
  EXPECT_EQ(Message(RequestLog::Open(MemoryFile(copy))), "not a request log of 'haft trace'");
  // Sealed, but too short for what it says.
  UniqueFd sealed(::memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(sealed.get(), copy.data(), 2 * sizeof(RequestRecord)),
            static_cast<ssize_t>(2 * sizeof(RequestRecord)));
  ASSERT_EQ(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_EQ(Message(RequestLog::Open(std::move(sealed))), "not a request log of 'haft trace'");
}

TEST(RequestLogTest, RefusesWhatIsNoDescriptor) {
  for (const char* text : {"", "x", "3x", "-1", "0", "2", "99999999999"}) {
    EXPECT_NE(Message(RecordRequests(text)).find("no descriptor"), std::string::npos) << text;
  }
  EXPECT_NE(Message(RecordRequests("987")).find("HAFT_TRACE_LOG"), std::string::npos);
}

TEST(RequestLogTest, UnknownOperationsHaveNoName) {
  EXPECT_EQ(OperationName(0), "lookup");
  EXPECT_EQ(OperationName(255), "?");
}

}  // namespace
}  // namespace haft
