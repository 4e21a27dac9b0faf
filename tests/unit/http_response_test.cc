// http_response: the bytes of responses, refusals and dates.
#include "common/http_response.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace common {
namespace {

constexpr std::time_t kMoment = 784'111'777;  // the example of RFC 9110 5.6.7
const std::string kServerLines = "Server: supervisor\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

class HttpResponse : public testing::Test {
 protected:
  HttpResponse() { date_.update(kMoment); }

  std::string response(int status, std::string_view body, BodySending sending = BodySending::kSend,
                       ConnectionOption connection = ConnectionOption::kImplicit) const {
    std::string out;
    append_response(out, {.status = status, .fields = fields_}, body, sending, connection, date_);
    return out;
  }

  DateCache date_;
  std::vector<Field> fields_;
};

TEST_F(HttpResponse, StandsInOnePieceBehindWhatIsThere) {
  fields_ = {{"Content-Type", "text/plain"}, {"Empty", ""}};
  std::string out = "before";
  append_response(out, {.status = 200, .fields = fields_}, "hello\n", BodySending::kSend, ConnectionOption::kImplicit,
                  date_);
  EXPECT_EQ(out, "beforeHTTP/1.1 200 OK\r\n" + kServerLines +
                     "Content-Length: 6\r\nContent-Type: text/plain\r\nEmpty: \r\n\r\nhello\n");
}

TEST_F(HttpResponse, SaysWhatBecomesOfTheConnection) {
  EXPECT_EQ(response(404, "", BodySending::kSend, ConnectionOption::kClose),
            "HTTP/1.1 404 Not Found\r\n" + kServerLines + "Content-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(response(200, "", BodySending::kSend, ConnectionOption::kKeepAlive),
            "HTTP/1.1 200 OK\r\n" + kServerLines + "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST_F(HttpResponse, TellsHeadTheLengthWithoutTheBody) {
  EXPECT_EQ(response(200, "hello", BodySending::kOmit),
            "HTTP/1.1 200 OK\r\n" + kServerLines + "Content-Length: 5\r\n\r\n");
}

TEST_F(HttpResponse, SendsNoContentWhereTheStatusForbidsIt) {
  EXPECT_EQ(response(204, "lost"), "HTTP/1.1 204 No Content\r\n" + kServerLines + "\r\n");
  EXPECT_EQ(response(103, "lost"), "HTTP/1.1 103 Early Hints\r\n" + kServerLines + "\r\n");
  EXPECT_EQ(response(205, "lost"), "HTTP/1.1 205 Reset Content\r\n" + kServerLines + "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(response(304, "lost"), "HTTP/1.1 304 Not Modified\r\n" + kServerLines + "Content-Length: 4\r\n\r\n");
  EXPECT_EQ(response(304, ""), "HTTP/1.1 304 Not Modified\r\n" + kServerLines + "\r\n");
}

TEST_F(HttpResponse, KeepsTheSpaceBeforeAPhraseItDoesNotKnow) {
  EXPECT_TRUE(response(299, "").starts_with("HTTP/1.1 299 \r\nServer: "));
  EXPECT_TRUE(response(599, "").starts_with("HTTP/1.1 599 \r\nServer: "));
}

TEST_F(HttpResponse, CarriesLargeBodiesWhole) {
  const std::string body(1'234'567, 'x');
  const std::string out = response(200, body);
  EXPECT_NE(out.find("Content-Length: 1234567\r\n"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n" + body));
}

TEST_F(HttpResponse, RefusesInPlainTextAndCloses) {
  std::string out;
  append_refusal(out, 431, "too many header fields", date_);
  EXPECT_EQ(out, "HTTP/1.1 431 Request Header Fields Too Large\r\n" + kServerLines +
                     "Content-Length: 23\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
                     "too many header fields\n");
}

TEST(HttpDate, IsRenderedAnewWhenTheSecondChanges) {
  DateCache date;
  EXPECT_EQ(date.date(), "Thu, 01 Jan 1970 00:00:00 GMT");
  date.update(kMoment);
  EXPECT_EQ(date.date(), "Sun, 06 Nov 1994 08:49:37 GMT");
  date.update(kMoment + 1);
  EXPECT_EQ(date.date(), "Sun, 06 Nov 1994 08:49:38 GMT");
  date.update(1'709'251'199);
  EXPECT_EQ(date.date(), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(HttpField, IsRefusedWhenItsNameIsNoToken) {
  EXPECT_TRUE(may_send_field("X-Any_thing", "a b"));
  EXPECT_FALSE(may_send_field("", "a"));
  EXPECT_FALSE(may_send_field("A B", "a"));
  EXPECT_FALSE(may_send_field("A:", "a"));
  EXPECT_FALSE(may_send_field("A\r\nB", "a"));
}

TEST(HttpField, IsRefusedWhenItsValueCouldEndTheLine) {
  EXPECT_TRUE(may_send_field("A", ""));
  EXPECT_FALSE(may_send_field("A", "b\rc"));
  EXPECT_FALSE(may_send_field("A", "b\nc"));
  EXPECT_FALSE(may_send_field("A", std::string_view("b\0c", 3)));
}

TEST(HttpField, IsRefusedWhenTheServerSetsIt) {
  for (const std::string_view name :
       {"Connection", "content-length", "DATE", "Server", "Transfer-Encoding", "transfer-encoding"}) {
    EXPECT_FALSE(may_send_field(name, "1")) << name;
  }
  EXPECT_TRUE(may_send_field("Content-Type", "1"));
  EXPECT_TRUE(may_send_field("Expires", "1"));
}

}  // namespace
}  // namespace common
