#include "python_events.h"

#include <gtest/gtest.h>

namespace haft::trace {
namespace {

constexpr std::string_view kPython = "python\t7\t7\t100\t/haft/x\t/usr/bin/python3\n";

PythonEvents Parse(std::string_view lines) {
  return ParsePythonEvents(std::string(kPython) + std::string(lines));
}

TEST(PythonEventsTest, ReadsInterpreters) {
  PythonEvents events = Parse("");
  ASSERT_EQ(events.pythons.size(), 1u);
  EXPECT_EQ(events.pythons[0].pid, 7);
  EXPECT_EQ(events.pythons[0].begin, 100u);
  EXPECT_EQ(events.pythons[0].executable, "/usr/bin/python3");
}

TEST(PythonEventsTest, PathsAreRelativeToTheImage) {
  PythonEvents events = Parse(
      "import\t7\t8\t10\t20\ta\t__main__\t/haft/x/sp/a.py\t/haft/x/sp/__pycache__/a.pyc\n"
      "import\t7\t8\t30\t40\tb\ta\t/usr/lib/b.py\t/usr/lib/__pycache__/b.pyc\n"
      "import\t7\t8\t50\t60\tc\ta\t/haft/x/sp/c.so\t\n"
      "import\t7\t8\t70\t80\td\ta\t/haft/xyz/d.py\t\n"
      "open\t7\t8\t90\t/haft/x/sp/data.txt\ta\n"
      "open\t7\t8\t90\t/etc/passwd\ta\n");
  ASSERT_EQ(events.imports.size(), 4u);
  EXPECT_EQ(events.imports[0].file, "sp/__pycache__/a.pyc");
  EXPECT_EQ(events.sources[0], "sp/a.py");
  EXPECT_EQ(events.imports[0].importer, "__main__");
  EXPECT_EQ(events.imports[1].file, "");
  EXPECT_EQ(events.imports[2].file, "sp/c.so");
  EXPECT_EQ(events.imports[3].file, "");
  ASSERT_EQ(events.opened.size(), 1u);
  EXPECT_EQ(events.opened[0].path, "sp/data.txt");
  EXPECT_EQ(events.opened[0].module, "a");
}

TEST(PythonEventsTest, SelfTimeIsWithoutInnerImports) {
  // Written when they end: inner first. Thread 9 has nothing to do with it.
  PythonEvents events = Parse(
      "import\t7\t8\t20\t30\tinner\touter\t\t\n"
      "import\t7\t8\t40\t45\tdeepest\tdeep\t\t\n"
      "import\t7\t8\t35\t50\tdeep\touter\t\t\n"
      "import\t7\t9\t11\t99\tother\t\t\t\n"
      "import\t7\t8\t10\t60\touter\t__main__\t\t\n"
      "failed\t7\t8\t70\t72\tmissing\touter\n");
  std::map<std::string, Nanoseconds> self;
  for (const Import& import : events.imports) self[import.module] = import.self;
  EXPECT_EQ(self, (std::map<std::string, Nanoseconds>{{"outer", 25},
                                                      {"inner", 10},
                                                      {"deep", 10},
                                                      {"deepest", 5},
                                                      {"other", 88},
                                                      {"missing", 2}}));
  EXPECT_EQ(events.imports.front().module, "outer");
  EXPECT_TRUE(events.imports.back().failed);
}

TEST(PythonEventsTest, NamesAreUnescaped) {
  PythonEvents events =
      Parse("import\t7\t8\t1\t2\tk\\xe4se\\u20ac\\\\x\\t\\n\\U0001f600\\udcff\t\t\t\n");
  ASSERT_EQ(events.imports.size(), 1u);
  EXPECT_EQ(events.imports[0].module, "k\xC3\xA4se\xE2\x82\xAC\\x\t\n\xF0\x9F\x98\x80\xFF");
}

TEST(PythonEventsTest, BadLinesAreLeftOut) {
  PythonEvents events = Parse(
      "\nnonsense\nimport\nimport\t7\t8\tx\t20\ta\tb\t\t\nimport\t7\t8\t20\t10\tbackwards\tb\t\t\n"
      "import\t7\t8\t10\t20\tcut "
      "off\nimport\t7\t8\t10\t20\ttoo\tmany\t\t\t\t\nfailed\t7\t8\t1\t2\tm\t");
  ASSERT_EQ(events.imports.size(), 1u);  // the last one is whole
  EXPECT_EQ(events.imports[0].module, "m");
}

}  // namespace
}  // namespace haft::trace
