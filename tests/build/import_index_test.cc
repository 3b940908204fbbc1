#include "import_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "haft/format/image_paths.h"
#include "haft/image/image_reader.h"
#include "profile_run.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using testing::BuildImage;
using testing::Expect;
using testing::MakeTree;
using testing::MemoryFile;
using testing::Message;
using testing::RandomBytes;

constexpr std::string_view kTag = "cpython-311";

std::string Pyc(std::string_view code, char flags = 1) {
  return std::string("\xa7\r\r\n", 4) + flags + std::string("\0\0\0hash1234", 11) +
         std::string(code);
}

std::string IndexText(const Tree& tree, std::string_view path = format::kImportIndexPath) {
  const TreeNode* node = tree.Find(path);
  return node == nullptr ? "" : Expect(ReadSource(node->file()->source, node->file()->size));
}

TEST(ImportIndexTest, HoldsTheModulesInTheOrderOfTheProfile) {
  Tree tree = MakeTree({{"p/m.py", ""},
                        {"p/__pycache__/m.cpython-311.pyc", Pyc("<m>")},
                        {"p/a.py", ""},
                        {"p/__pycache__/a.cpython-311.pyc", Pyc("<a>")},
                        {"p/q/__init__.py", ""},
                        {"p/q/__pycache__/__init__.cpython-311.pyc", Pyc("<q>")}});
  const std::vector<std::string> start = {
      "p/__pycache__/m.cpython-311.pyc", "p/m.py", "no/such/file",
      "p/q/__pycache__/__init__.cpython-311.pyc", "p/__pycache__/a.cpython-311.pyc"};
  const std::vector<ContentPart> parts = Expect(AddImportIndex(tree, start, {}, kTag)).parts;
  std::string text = IndexText(tree);
  EXPECT_EQ(text.substr(0, 12), std::string("haftmod2\xa7\r\r\n", 12));
  EXPECT_TRUE(text.ends_with(Pyc("<m>") + Pyc("<q>") + Pyc("<a>"))) << text;
  ASSERT_EQ(parts.size(), 3u);
  for (const ContentPart& part : parts) {
    EXPECT_EQ(text.substr(part.offset, part.file->size),
              Expect(ReadSource(part.file->source, part.file->size)));
  }
  // {'a': (0, 2*19, 19, False), 'm': …, 'q': (0, 19, 19, True)} as marshal writes it.
  std::string q("u\1\0\0\0q(\4\0\0\0i\0\0\0\0i\x13\0\0\0i\x13\0\0\0T", 27);
  EXPECT_NE(text.find(q), text.npos);
  EXPECT_EQ(tree.Find(format::kImportRestPath), nullptr);
}

TEST(ImportIndexTest, HoldsWhatNoStartImportsInASecondFile) {
  Tree tree = MakeTree({{"p/m.py", ""},
                        {"p/__pycache__/m.cpython-311.pyc", Pyc("<m>")},
                        {"p/b.py", ""},
                        {"p/__pycache__/b.cpython-311.pyc", Pyc("<b>")},
                        {"p/c.py", ""},
                        {"p/__pycache__/c.cpython-311.pyc", Pyc("<c>")},
                        {"q/a.py", ""},
                        {"q/__pycache__/a.cpython-311.pyc", Pyc("<a>")}});
  const ImportIndex index = Expect(AddImportIndex(tree, {"p/__pycache__/m.cpython-311.pyc"},
                                                  {"p/__pycache__/c.cpython-311.pyc"}, kTag));
  EXPECT_EQ(index.parts.size(), 4u);
  const std::string start = IndexText(tree), rest = IndexText(tree, format::kImportRestPath);
  EXPECT_TRUE(start.ends_with(Pyc("<m>"))) << start;
  EXPECT_TRUE(rest.ends_with(Pyc("<c>") + Pyc("<b>") + Pyc("<a>"))) << rest;
  EXPECT_EQ(rest.substr(0, index.next_size),
            rest.substr(0, rest.size() - Pyc("<b>").size() - Pyc("<a>").size()));
  // The table of a directory is where its first module is, and has all of them.
  EXPECT_NE(start.find(std::string("\np\0"
                                   "0 ",
                                   5)),
            start.npos);
  EXPECT_EQ(rest.find(std::string("\np\0", 3)), rest.npos);
  EXPECT_NE(rest.find(std::string("\nq\0"
                                  "0 ",
                                  5)),
            rest.npos);
  EXPECT_NE(start.find(std::string("u\1\0\0\0b(\4\0\0\0i\1\0\0\0", 16)), start.npos);
}

TEST(ImportIndexTest, LeavesOutWhatImportWouldNotTakeFromThere) {
  Tree tree = MakeTree({{"ext.py", ""},
                        {"ext.cpython-311-x86_64-linux-gnu.so", ""},
                        {"__pycache__/ext.cpython-311.pyc", Pyc("x")},
                        {"pkg.py", ""},
                        {"pkg/__init__.py", ""},
                        {"__pycache__/pkg.cpython-311.pyc", Pyc("x")},
                        {"timed.py", ""},
                        {"__pycache__/timed.cpython-311.pyc", Pyc("x", 0)},
                        {"__pycache__/no_source.cpython-311.pyc", Pyc("x")},
                        {"other.py", ""},
                        {"__pycache__/other.cpython-310.pyc", Pyc("x")},
                        {"opt.py", ""},
                        {"__pycache__/opt.cpython-311.opt-1.pyc", Pyc("x")}});
  // These are not below a directory, as site-packages is; "d/" makes one.
  Tree below;
  tree.Walk([&](const std::string& path, const TreeNode& node) {
    if (const TreeNode::File* file = node.file()) {
      ASSERT_EQ(Message(below.AddText("d/" + path, Expect(ReadSource(file->source, file->size)))),
                "");
    }
  });
  std::vector<std::string> start;
  below.Walk([&](const std::string& path, const TreeNode&) { start.push_back(path); });
  EXPECT_EQ(Expect(AddImportIndex(below, start, {}, kTag)).parts.size(), 0u);
  EXPECT_EQ(below.Find(format::kImportIndexPath), nullptr);
}

// The .pyc files read as before, although their bytes lie in the index, over several blocks.
TEST(ImportIndexTest, PartsReadAsTheFilesTheyAre) {
  Tree tree;
  std::vector<std::string> start, contents;
  for (unsigned i = 0; i < 60; ++i) {
    std::string path = fmt::format("p/__pycache__/m{}.cpython-311.pyc", i);
    contents.push_back(Pyc(RandomBytes(1 + 997 * i, i) + std::string(i * 300, 'x')));
    ASSERT_EQ(Message(tree.AddText(path, contents.back())), "");
    ASSERT_EQ(Message(tree.AddText(fmt::format("p/m{}.py", i), fmt::format("{}", i))), "");
    start.push_back(path);
  }
  ImageOptions options{.block_size = 16384, .workers = 1};
  const std::size_t without = BuildImage(tree, options).size();
  // Half of them in each file; of the second file a third is placed beside the first.
  const ImportIndex index = Expect(AddImportIndex(tree, {start.begin(), start.begin() + 30},
                                                  {start.begin() + 30, start.begin() + 40}, kTag));
  options.layout.parts = index.parts;
  options.layout.files = {std::string(format::kImportIndexPath),
                          std::string(format::kImportRestPath)};
  options.layout.ranges[options.layout.files[1]] = {{0, index.next_size}};
  std::vector<std::byte> image = BuildImage(tree, options);
  EXPECT_LT(image.size(), without + 16000) << "the bytes are stored twice";
  auto opened = ImageReader::Open(MemoryFile(image));
  ASSERT_EQ(Message(opened), "");
  ImageReader& reader = *opened;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    DirectoryEntry entry = Expect(reader.Resolve(start[i]));
    std::string text(contents[i].size(), '\0');
    ASSERT_EQ(entry.attributes.size, text.size());
    EXPECT_EQ(Expect(reader.Read(entry.inode, 0, std::as_writable_bytes(std::span(text)))),
              text.size());
    EXPECT_EQ(text, contents[i]);
    // From the middle as well.
    std::size_t from = text.size() / 2;
    std::string rest(text.size() - from, '\0');
    EXPECT_EQ(Expect(reader.Read(entry.inode, from, std::as_writable_bytes(std::span(rest)))),
              rest.size());
    EXPECT_EQ(rest, contents[i].substr(from));
  }
}

}  // namespace
}  // namespace haft
