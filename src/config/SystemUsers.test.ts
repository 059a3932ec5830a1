import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { groupId, ownerIds, unknownUsers, userId } from "./SystemUsers.ts"

const dir = mkdtempSync(join(tmpdir(), "users-"))
afterAll(() => rmSync(dir, { recursive: true }))
const passwd = join(dir, "passwd")
const group = join(dir, "group")
writeFileSync(passwd, "root:x:0:0::/root:/bin/sh\norders:x:1001:1002::/:/bin/false\nbad:x:\n")
writeFileSync(group, "root:x:0:\nshop:x:2001:orders\n")

describe("users of this host", () => {
  it("are known by name, and numbers mean themselves", () => {
    expect(userId("orders", passwd)).toBe(1001)
    expect(userId("1234", passwd)).toBe(1234)
    expect(userId(7, passwd)).toBe(7)
    expect(groupId("shop", group)).toBe(2001)
  })

  it("that nobody knows are told", () => {
    expect(() => userId("nobody-here", passwd)).toThrow(/passwd has no user nobody-here/)
    expect(() => userId("bad", passwd)).toThrow(/no user bad/)
    expect(() => groupId("orders", group)).toThrow(/no group orders/)
  })

  it("that a config names and this host does not know are told, each at its place", () => {
    const listeners = [{ uid: "orders" }, { uid: "web" }, { owner: "orders:ops" }, { uid: 77 }, {}]
    const upstreams = [{ uid: "nobody-here" }, {}]
    const programs = [{ owner: ":shop" }, { owner: ":nobodies" }]
    const config = { outbound: { listeners }, programs, upstreams }
    expect(unknownUsers(config, passwd, group)).toEqual([
      expect.stringMatching(/^outbound\.listeners\[1\]\.uid: .*passwd has no user web; write/),
      expect.stringMatching(/^outbound\.listeners\[2\]\.owner: .*group has no group ops; write/),
      expect.stringMatching(/^programs\[1\]\.owner: .*group has no group nobodies; write/),
      expect.stringMatching(/^upstreams\[0\]\.uid: .*passwd has no user nobody-here/)
    ])
  })

  it.each([
    [undefined, undefined, undefined],
    ["orders", 1001, undefined],
    ["orders:shop", 1001, 2001],
    [":shop", undefined, 2001],
    ["5:6", 5, 6]
  ])("of %s are uid %s and gid %s", (owner, uid, gid) => {
    expect(ownerIds(owner, passwd, group)).toEqual({ uid, gid })
  })
})
