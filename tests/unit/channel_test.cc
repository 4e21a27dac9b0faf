// Channel: borders, descriptors, ends.
#include "common/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace {

using common::Channel;
using common::Message;
using common::MessageType;

Message message_of(MessageType type, std::string_view text = {}) {
  Message message;
  message.type = type;
  message.set_text(text);
  return message;
}

TEST(Channel, KeepsTheBordersOfMessages) {
  auto [left, right] = Channel::create_pair().value();
  ASSERT_TRUE(left.send(message_of(MessageType::kLoaded, "one")));
  ASSERT_TRUE(left.send(message_of(MessageType::kFailed, "two")));
  const auto first = right.receive(Channel::Wait::kNo).value();
  const auto second = right.receive(Channel::Wait::kNo).value();
  EXPECT_EQ(std::get<common::Received>(first).message.text_view(), "one");
  EXPECT_EQ(std::get<common::Received>(second).message.text_view(), "two");
  EXPECT_TRUE(std::holds_alternative<common::ChannelEmpty>(right.receive(Channel::Wait::kNo).value()));
}

TEST(Channel, CarriesDescriptorsCloseOnExec) {
  auto [left, right] = Channel::create_pair().value();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const common::UniqueFd reader(ends[0]);
  common::UniqueFd writer(ends[1]);
  const int sent = writer.get();
  ASSERT_TRUE(left.send(message_of(MessageType::kStartWorker), {&sent, 1}));
  writer.reset();

  auto received = right.receive(Channel::Wait::kNo).value();
  auto& fds = std::get<common::Received>(received).fds;
  ASSERT_EQ(fds.size(), 1U);
  EXPECT_EQ(fcntl(fds[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(write(fds[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(reader.get(), &byte, 1), 1);
}

TEST(Channel, HasRoomUntilThePeerLeavesTooMuchUnread) {
  auto [left, right] = Channel::create_pair().value();
  std::size_t sent = 0;
  while (left.has_room()) ASSERT_TRUE(left.send(message_of(MessageType::kDrain))) << ++sent;
  EXPECT_TRUE(left.send(message_of(MessageType::kDrain))) << "orders that may not wait go through";
  while (!std::holds_alternative<common::ChannelEmpty>(right.receive(Channel::Wait::kNo).value())) continue;
  EXPECT_TRUE(left.has_room());
}

TEST(Channel, TellsThatThePeerIsGone) {
  auto pair = Channel::create_pair().value();
  pair.second = Channel();
  EXPECT_TRUE(std::holds_alternative<common::ChannelClosed>(pair.first.receive(Channel::Wait::kYes).value()));
  const auto sent = pair.first.send(message_of(MessageType::kDrain));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().errnum, EPIPE);
}

TEST(Channel, NeverBlocksOnAPeerThatDoesNotRead) {
  auto [left, right] = Channel::create_pair().value();
  const Message message = message_of(MessageType::kFailed, std::string(common::kMessageTextMax, 'x'));
  common::Result<void> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = left.send(message);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().errnum, EAGAIN);
}

// An application that closes a descriptor once too often may write into ours.
TEST(Channel, RefusesWhatIsNoMessageOfOurs) {
  auto [left, right] = Channel::create_pair().value();
  ASSERT_EQ(write(left.fd(), "hello garbage", 13), 13);
  const auto received = right.receive(Channel::Wait::kNo);
  ASSERT_FALSE(received);
  EXPECT_NE(received.error().message.find("not a message of ours"), std::string::npos);
}

TEST(Message, CutsATextThatDoesNotFit) {
  Message message;
  message.set_text(std::string(common::kMessageTextMax - 1, 'a'));
  EXPECT_EQ(message.text_view().size(), common::kMessageTextMax - 1);
  message.set_text(std::string(common::kMessageTextMax, 'a'));
  EXPECT_EQ(message.text_view().size(), common::kMessageTextMax - 1);
}

}  // namespace
