import { expect, it } from "vitest"
import { isLoopbackIp, mayBeTried } from "./TriedAddress.ts"

it.each([
  ["10.0.0.1", true, true],
  ["192.168.1.7", true, true],
  ["203.0.113.9", true, true],
  ["fd00::1", true, true],
  ["2001:db8::1", true, true],
  ["::ffff:10.0.0.1", true, true],
  ["127.0.0.1", false, true],
  ["127.8.9.1", false, true],
  ["::1", false, true],
  ["::ffff:127.0.0.1", false, true],
  ["::ffff:7f00:1", false, true],
  ["0.0.0.0", false, false],
  ["::", false, false],
  ["169.254.169.254", false, false],
  ["::ffff:169.254.169.254", false, false],
  ["fe80::1", false, false],
  ["fd00:ec2::254", false, false],
  ["fd20:ce::254", false, false],
  ["100.100.100.200", false, false],
  ["::ffff:100.100.100.200", false, false],
  ["168.63.129.16", false, false],
  ["192.0.0.192", false, false],
  ["64:ff9b::169.254.169.254", false, false],
  ["64:ff9b::7f00:1", false, false],
  ["64:ff9b::10.0.0.1", true, true],
  ["fe80::1%eth0", false, false],
  ["224.0.0.1", false, false],
  ["255.255.255.255", false, false],
  ["ff02::1", false, false],
  ["a.example", false, false],
  ["", false, false]
])("%s may be tried for a node elsewhere: %s; for one on this host: %s", (ip, elsewhere, here) => {
  expect([mayBeTried(ip, false), mayBeTried(ip, true)]).toEqual([elsewhere, here])
})

it("loopback is told in every spelling", () => {
  expect(["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(isLoopbackIp)).toEqual([true, true, true])
  expect(["10.0.0.1", "localhost", ""].map(isLoopbackIp)).toEqual([false, false, false])
})
