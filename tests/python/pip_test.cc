#include "haft/python/pip.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

TEST(PipTest, RecordLosesOneLine) {
  EXPECT_EQ(
      WithoutRecord(
          "a.py,sha256=x,1\r\nx.dist-info/direct_url.json,sha256=y,2\r\nx.dist-info/RECORD,,\r\n",
          "x.dist-info/direct_url.json"),
      "a.py,sha256=x,1\r\nx.dist-info/RECORD,,\r\n");
  EXPECT_EQ(WithoutRecord("ab,\na", "a"), "ab,\na");
  EXPECT_EQ(WithoutRecord("a,,", "a"), "");
  EXPECT_EQ(WithoutRecord("", "a"), "");
}

TEST(PipTest, KnowsWhatGoesElsewhere) {
  EXPECT_TRUE(CheckPipArguments({"requests", "--trusted-host", "--upgrade", "-r", "x", "--no-deps",
                                 "--rootless", "--extra-index-url"}));
  for (const char* word : {"-t", "-tx", "--target", "--target=x", "--user", "--root=/", "--prefix",
                           "-e", "-e.", "--editable", "-d", "--download"}) {
    EXPECT_FALSE(CheckPipArguments({"a", word})) << word;
  }
}

}  // namespace
}  // namespace haft
