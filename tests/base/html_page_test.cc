#include "haft/base/html_page.h"

#include <gtest/gtest.h>

namespace haft {
namespace {

TEST(HtmlPageTest, DataTakesItsPlace) {
  EXPECT_EQ(FillPage("<script>const d = /*DATA*/null;</script>", R"({"a":[1,2]})"),
            R"(<script>const d = {"a":[1,2]};</script>)");
}

TEST(HtmlPageTest, DataCannotEndTheScript) {
  EXPECT_EQ(FillPage("/*DATA*/null", R"(["</script><!--<script>"])"),
            R"(["\u003c/script>\u003c!--\u003cscript>"])");
}

TEST(HtmlPageTest, OnlyTheFirstPlaceIsFilled) {
  EXPECT_EQ(FillPage("/*DATA*/null /*DATA*/null", "1"), "1 /*DATA*/null");
}

TEST(HtmlPageTest, APageWithoutPlaceStaysAsItIs) {
  EXPECT_EQ(FillPage("text", "1"), "text");
}

}  // namespace
}  // namespace haft
