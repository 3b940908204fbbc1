#include "haft/trace/trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "haft/base/html_page.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::trace {
namespace {

using haft::testing::BuildImage;
using haft::testing::Expect;
using haft::testing::MakeTree;
using haft::testing::MemoryFile;
using haft::testing::Message;
using nlohmann::json;

constexpr int kThread = 8;

std::uint8_t Number(std::string_view operation) {
  for (std::uint8_t i = 0; i < 255; ++i) {
    if (OperationName(i) == operation) return i;
  }
  ADD_FAILURE() << operation;
  return 255;
}

class TraceTest : public ::testing::Test {
 protected:
  static ImageReader MakeReader() {
    auto reader = ImageReader::Open(
        MemoryFile(BuildImage(MakeTree({{"sp/a.py", "source of a"},
                                        {"sp/__pycache__/a.pyc", "compiled a"},
                                        {"sp/indexed.pyc", "from the index"},
                                        {"sp/data.txt", "0123456789"},
                                        {"sp/unused/small", "1"},
                                        {"sp/unused/large", "0123456789abcdef"}}))));
    EXPECT_EQ(Message(reader), "");
    return *std::move(reader);
  }

  std::uint64_t Inode(std::string_view path) {
    return std::to_underlying(Expect(reader_.Resolve(path)).inode) + 1;
  }

  RequestRecord& Request(std::string_view operation, std::string_view path, Nanoseconds begin,
                         Nanoseconds took) {
    RequestRecord& record = *log_.Add();
    record.operation = Number(operation);
    record.inode = Inode(path);
    record.begin = begin;
    record.end = begin + took;
    record.requester = kThread;
    record.server = 5;
    record.first_block = RequestRecord::kNoBlock;
    return record;
  }

  void Read(std::string_view path, Nanoseconds begin, std::uint64_t offset, std::uint32_t size,
            std::uint32_t block) {
    RequestRecord& record = Request("read", path, begin, 10);
    record.offset = offset;
    record.size = 4096;
    record.replied = size;
    record.first_block = block;
    record.blocks = 1;
    record.decoded = 1;
    record.decode_time = 4;
  }

  Trace Assemble(std::string_view events = "") {
    auto trace = trace::Assemble(
        reader_, "x", {.command = {"./x", "</script>"}, .status = 0, .begin = 1000, .end = 9000},
        log_, std::string("python\t7\t8\t1500\t/haft/x\t/usr/bin/python3\n").append(events));
    EXPECT_EQ(Message(trace), "");
    return *std::move(trace);
  }

  static const File& Find(const Trace& trace, std::string_view path) {
    static const File kNone{};
    auto found = std::ranges::find(trace.files, path, &File::path);
    if (found != trace.files.end()) return *found;
    ADD_FAILURE() << path << " was not touched";
    return kNone;
  }

  ImageReader reader_ = MakeReader();
  RequestLog log_ = *RequestLog::Create(100);
};

TEST_F(TraceTest, FilesHaveTheirRequests) {
  RequestRecord& lookup = Request("lookup", "sp", 2000, 3);
  lookup.found = Inode("sp/data.txt");
  Read("sp/data.txt", 3000, 0, 4, 6);
  Read("sp/data.txt", 2500, 8, 2, 6);
  Trace trace = Assemble();
  const File& file = Find(trace, "sp/data.txt");
  EXPECT_EQ(file.first, 2000u);
  EXPECT_EQ(file.last, 3010u);
  EXPECT_EQ(file.requests, 3u);
  EXPECT_EQ(file.server, 23u);
  EXPECT_EQ(file.decoding, 8u);
  EXPECT_EQ(file.bytes, 6u);
  EXPECT_EQ(file.size, 10u);
  EXPECT_EQ(file.use, Use::kRead);
  EXPECT_EQ(file.blocks, (std::vector<std::uint32_t>{6}));
  EXPECT_EQ(file.ranges,
            (std::vector<format::ByteRange>{{8, 2}, {0, 4}}));  // in the order of first use
}

TEST_F(TraceTest, FilesAreInTheOrderOfFirstUse) {
  Read("sp/data.txt", 3000, 0, 10, 0);
  Read("sp/__pycache__/a.pyc", 2000, 0, 10, 0);
  Request("readdirplus", "sp", 1900, 5);
  Trace trace = Assemble();
  ASSERT_EQ(trace.files.size(), 3u);
  EXPECT_EQ(trace.files[0].path, "sp");
  EXPECT_EQ(trace.files[0].use, Use::kListed);
  EXPECT_EQ(trace.files[1].path, "sp/__pycache__/a.pyc");
  EXPECT_EQ(trace.files[2].path, "sp/data.txt");
}

TEST_F(TraceTest, ModulesAndImportersAreKnown) {
  Read("sp/__pycache__/a.pyc", 2010, 0, 10, 0);
  Read("sp/data.txt", 2050, 0, 10, 0);
  Trace trace = Assemble(
      "import\t7\t8\t2000\t2100\ta\tmain\t/haft/x/sp/a.py\t/haft/x/sp/__pycache__/a.pyc\n"
      "import\t7\t8\t2200\t2300\tindexed\ta\t/haft/x/sp/indexed.py\t/haft/x/sp/indexed.pyc\n");
  EXPECT_EQ(Find(trace, "sp/__pycache__/a.pyc").module, "a");
  EXPECT_EQ(Find(trace, "sp/__pycache__/a.pyc").importer, "main");
  EXPECT_EQ(Find(trace, "sp/data.txt").module, "");
  EXPECT_EQ(Find(trace, "sp/data.txt").importer, "a");  // a was being imported
  // No request for it, and yet it was used.
  EXPECT_EQ(Find(trace, "sp/indexed.pyc").use, Use::kIndex);
  EXPECT_EQ(Find(trace, "sp/indexed.pyc").importer, "a");
}

TEST_F(TraceTest, WhoOpensAFileIsKnown) {
  Read("sp/data.txt", 2050, 0, 10, 0);
  Trace trace = Assemble("open\t7\t8\t2040\t/haft/x/sp/data.txt\treader\n");
  EXPECT_EQ(Find(trace, "sp/data.txt").importer, "reader");
}

TEST_F(TraceTest, UnusedFilesAreLargestFirst) {
  Read("sp/__pycache__/a.pyc", 2010, 0, 10, 0);
  Request("getattr", "sp/data.txt", 2500, 1);  // looked at, not read
  Trace trace = Assemble("import\t7\t8\t2000\t2100\tindexed\ta\t\t/haft/x/sp/indexed.pyc\n");
  std::vector<std::string> paths;
  for (const UnusedFile& file : trace.unused) paths.push_back(file.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"sp/unused/large", "sp/a.py", "sp/data.txt",
                                             "sp/unused/small"}));
  EXPECT_EQ(trace.file_count, 6u);
}

TEST_F(TraceTest, RequestsForNothingInTheImageAreNoFiles) {
  Request("read", "sp", 2000, 1).inode = 4711;  // .haft/stats
  Request("statfs", "sp", 2000, 1).inode = 0;
  Trace trace = Assemble();
  EXPECT_TRUE(trace.files.empty());
  EXPECT_EQ(trace.requests.size(), 2u);
  EXPECT_TRUE(json::accept(ToChromeJson(trace)));
}

TEST_F(TraceTest, ChromeEventsHaveTheirTimes) {
  Read("sp/data.txt", 3000, 0, 10, 6);
  std::string name = "not there";
  RequestRecord& miss = Request("lookup", "sp", 4000, 1);
  std::copy(name.begin(), name.end(), miss.name);
  json trace = json::parse(ToChromeJson(
      Assemble("import\t7\t8\t2000\t2100\ta\tmain\t\t/haft/x/sp/__pycache__/a.pyc\n")));
  json read, import, lookup;
  for (const json& event : trace["traceEvents"]) {
    if (event["name"] == "read sp/data.txt") read = event;
    if (event["name"] == "a") import = event;
    if (event["name"] == "lookup sp/not there") lookup = event;
  }
  EXPECT_EQ(read["ph"], "X");
  EXPECT_EQ(read["ts"], 2.0);  // microseconds after the start
  EXPECT_EQ(read["dur"], 0.01);
  EXPECT_EQ(read["args"]["block"], 6);
  EXPECT_EQ(import["ts"], 1.0);
  EXPECT_EQ(import["args"]["importer"], "main");
  EXPECT_EQ(import["tid"], kThread);
  EXPECT_EQ(lookup["args"]["found"], false);
}

TEST_F(TraceTest, ProfileIsWhatWasReadInOrder) {
  Request("readdirplus", "sp", 1900, 5);
  Read("sp/data.txt", 3000, 2, 3, 0);
  Read("sp/__pycache__/a.pyc", 2000, 0, 10, 0);
  Request("getattr", "sp/a.py", 2500, 1);
  json profile = json::parse(
      ToProfileJson(Assemble("import\t7\t8\t5000\t5100\tindexed\ta\t\t/haft/x/sp/indexed.pyc\n")));
  EXPECT_EQ(profile["files"], (json{"sp/__pycache__/a.pyc", "sp/data.txt", "sp/indexed.pyc"}));
  EXPECT_EQ(profile["directories"], (json::array({"sp"})));
  EXPECT_EQ(profile["ranges"], (json{{"sp/data.txt", json::array({json::array({2, 3})})}}));
}

TEST_F(TraceTest, ThePageCannotBeLeftByItsData) {
  std::string page = ToHtml(Assemble());
  EXPECT_EQ(page.find("./x </script>"), std::string::npos);
  EXPECT_NE(page.find("./x \\u003c/script>"), std::string::npos);
  EXPECT_EQ(page.find("/*DATA*/"), std::string::npos);
}

TEST_F(TraceTest, TheTableHasFilesImportsAndWhatIsUnused) {
  Read("sp/__pycache__/a.pyc", 2'010'000, 0, 10, 3);
  std::string table = ToTable(
      Assemble("import\t7\t8\t2000000\t2100000\ta\tmain\t\t/haft/x/sp/__pycache__/a.pyc\n"), 1);
  EXPECT_NE(table.find("sp/__pycache__/a.pyc  [a from main]"), std::string::npos) << table;
  EXPECT_NE(table.find("a  [main]"), std::string::npos) << table;
  EXPECT_NE(table.find("16 B  sp/unused/large"), std::string::npos) << table;
  EXPECT_EQ(table.find("sp/unused/small"), std::string::npos) << table;
  EXPECT_NE(table.find("1 of 6 files used"), std::string::npos) << table;
}

}  // namespace
}  // namespace haft::trace
