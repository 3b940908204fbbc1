#include "haft/web/web_application.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Expect;

std::string Parsed(const WebRequest& request) {
  auto web = ParseWebApplication(request);
  if (!web) return web.error().message();
  return web->interface + " " + web->application + " " + web->server;
}

TEST(WebApplicationTest, NamesInterfaceApplicationAndServer) {
  EXPECT_EQ(Parsed({.wsgi = "shop.wsgi:app.inner", .asgi = "", .server = ""}),
            "wsgi shop.wsgi:app.inner httpd");
  EXPECT_EQ(Parsed({.wsgi = "shop.wsgi", .asgi = "", .server = "waitress"}),
            "wsgi shop.wsgi:application waitress");
  EXPECT_EQ(Parsed({.wsgi = "shop:create()", .asgi = "", .server = "gunicorn"}),
            "wsgi shop:create() gunicorn");
  EXPECT_EQ(Parsed({.wsgi = "", .asgi = "shop.asgi:app", .server = ""}),
            "asgi shop.asgi:app uvicorn");
  EXPECT_EQ(
      WebModule(Expect(ParseWebApplication({.wsgi = "shop.wsgi:app", .asgi = "", .server = ""}))),
      "shop.wsgi");
}

TEST(WebApplicationTest, RefusesWhatNoServerCanServe) {
  EXPECT_EQ(
      Parsed({.wsgi = "a:b", .asgi = "a:b", .server = ""}),
      "an application is either a WSGI or an ASGI application; give one of --wsgi MODULE:CALLABLE "
      "and --asgi MODULE:CALLABLE");
  EXPECT_NE(Parsed({.wsgi = "", .asgi = "", .server = "httpd"}).find("either a WSGI or an ASGI"),
            std::string::npos);
  EXPECT_EQ(Parsed({.wsgi = "a:b", .asgi = "", .server = "gunicron"}),
            "server 'gunicron': not one of 'httpd', 'gunicorn', 'uvicorn', 'waitress'; did you "
            "mean 'gunicorn'?");
  EXPECT_EQ(Parsed({.wsgi = "", .asgi = "a:b", .server = "httpd"}),
            "server 'httpd': cannot serve an ASGI application; use --server uvicorn");
  for (const char* bad : {":", "a:", ":b", "a b:c", "a:b:c", "a:b(x)", "a:()", "a:b()()", "a/b.py",
                          "a:b\nimport os"}) {
    EXPECT_FALSE(ParseWebApplication({.wsgi = bad, .asgi = "", .server = ""})) << bad;
  }
}

}  // namespace
}  // namespace haft
