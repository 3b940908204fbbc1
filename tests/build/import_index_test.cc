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

std::string IndexText(const Tree& tree) {
  const TreeNode* node = tree.Find(format::kImportIndexPath);
  return node == nullptr ? "" : Expect(ReadSource(node->file()->source, node->file()->size));
}

TEST(ImportIndexTest, HoldsTheModulesInTheOrderOfTheProfile) {
  Tree tree = MakeTree({{"p/m.py", ""},
                        {"p/__pycache__/m.cpython-311.pyc", Pyc("<m>")},
                        {"p/a.py", ""},
                        {"p/__pycache__/a.cpython-311.pyc", Pyc("<a>")},
                        {"p/q/__init__.py", ""},
                        {"p/q/__pycache__/__init__.cpython-311.pyc", Pyc("<q>")}});
  format::Profile profile{.files = {"p/__pycache__/m.cpython-311.pyc", "p/m.py", "no/such/file",
                                    "p/q/__pycache__/__init__.cpython-311.pyc",
                                    "p/__pycache__/a.cpython-311.pyc"}};
  std::vector<ContentPart> parts = Expect(AddImportIndex(tree, profile, kTag));
  std::string text = IndexText(tree);
  EXPECT_EQ(text.substr(0, 12), std::string("haftmod1\xa7\r\r\n", 12));
  EXPECT_TRUE(text.ends_with(Pyc("<m>") + Pyc("<q>") + Pyc("<a>"))) << text;
  ASSERT_EQ(parts.size(), 3u);
  for (const ContentPart& part : parts) {
    EXPECT_EQ(text.substr(part.offset, part.file->size),
              Expect(ReadSource(part.file->source, part.file->size)));
  }
  // {'p': {'a': (2*19, 19, False), 'm': …, 'q': (19, 19, True)}} as marshal writes it.
  std::string q("u\1\0\0\0q(\3\0\0\0i\x13\0\0\0i\x13\0\0\0T", 22);
  EXPECT_NE(text.find(q), text.npos);
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
  format::Profile profile;
  below.Walk([&](const std::string& path, const TreeNode&) { profile.files.push_back(path); });
  EXPECT_EQ(Expect(AddImportIndex(below, profile, kTag)).size(), 0u);
  EXPECT_EQ(below.Find(format::kImportIndexPath), nullptr);
}

// The .pyc files read as before, although their bytes lie in the index, over several blocks.
TEST(ImportIndexTest, PartsReadAsTheFilesTheyAre) {
  Tree tree;
  format::Profile profile;
  std::vector<std::string> contents;
  for (unsigned i = 0; i < 60; ++i) {
    std::string path = fmt::format("p/__pycache__/m{}.cpython-311.pyc", i);
    contents.push_back(Pyc(RandomBytes(1 + 997 * i, i) + std::string(i * 300, 'x')));
    ASSERT_EQ(Message(tree.AddText(path, contents.back())), "");
    ASSERT_EQ(Message(tree.AddText(fmt::format("p/m{}.py", i), fmt::format("{}", i))), "");
    profile.files.push_back(path);
  }
  ImageOptions options{.block_size = 16384, .workers = 1};
  const std::size_t without = BuildImage(tree, options).size();
  options.layout.parts = Expect(AddImportIndex(tree, profile, kTag));
  options.layout.files = {std::string(format::kImportIndexPath)};
  std::vector<std::byte> image = BuildImage(tree, options);
  EXPECT_LT(image.size(), without + 12000) << "the bytes are stored twice";
  auto opened = ImageReader::Open(MemoryFile(image));
  ASSERT_EQ(Message(opened), "");
  ImageReader& reader = *opened;
  for (std::size_t i = 0; i < contents.size(); ++i) {
    DirectoryEntry entry = Expect(reader.Resolve(profile.files[i]));
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
