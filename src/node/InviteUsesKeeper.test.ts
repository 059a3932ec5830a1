import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { NodeName, PeerKey } from "../model/Names.ts"
import type { SettingInForce } from "../model/Setting.ts"
import { InviteId } from "../schema/TrustSchema.ts"
import type { InviteUse } from "../schema/UsesSchema.ts"
import { InviteUsesKeeper } from "./InviteUsesKeeper.ts"
import type { KindListener } from "./MeshSettings.ts"

const use = (host: string, invite = "a", limit = 1): InviteUse => ({
  ...{ invite: InviteId.make(invite.repeat(32)), limit, until: 1, at: host.charCodeAt(0) },
  ...{ peer: PeerKey.make(host.repeat(24)), name: NodeName.make(`host-${host}`) }
})

/** Settings that say what they are told to, at a node that held `held` when it started. */
const keeper = (held: ReadonlyArray<ReadonlyArray<InviteUse>>) => {
  const found: Array<string> = []
  let listener: KindListener = () => undefined
  const say = (all: typeof held) => {
    const inForce = all.map((uses, n): [string, SettingInForce] => [
      `signer-${n}.a`,
      {
        ...{ body: { uses }, author: "host", node: NodeName.make("host-0"), why: undefined },
        ...{ kind: "uses", name: `signer-${n}.a`, signedAt: 1 },
        ...{ signer: PeerKey.make("1".repeat(24)), epoch: 1, version: n, conflict: [] }
      }
    ])
    listener(new Map(inForce))
  }
  const made = new InviteUsesKeeper({
    settings: {
      subscribe: (_kind, tell) => {
        listener = tell
        say(held)
        return () => undefined
      },
      view: () => new Map(),
      write: () => Effect.die("nothing is written here")
    },
    self: PeerKey.make("1".repeat(24)),
    author: "host-0",
    onOverused: ({ invite, limit, nodes }) =>
      found.push(`${invite.slice(0, 1)} ${limit}: ${nodes.join(", ")}`)
  })
  return { found, say, made }
}

describe("a token that let in too many", () => {
  it("is told once when it is found, and again when there are more of them", () => {
    const { found, say } = keeper([[use("a")]])
    say([[use("a")], [use("b")]])
    say([[use("a")], [use("b"), use("x", "c")]])
    expect(found).toEqual(["a 1: host-a, host-b"])
    say([[use("a"), use("d")], [use("b")]])
    expect(found.slice(1)).toEqual(["a 1: host-a, host-b, host-d"])
    // One that came twice is one.
    say([
      [use("a"), use("d")],
      [use("b"), use("d")]
    ])
    expect(found).toHaveLength(2)
  })

  it("is not told again by a node that starts and has it on its disk", () => {
    const { found, made, say } = keeper([[use("a")], [use("b")]])
    say([[use("a")], [use("b")]])
    expect(found).toEqual([])
    expect(made.uses.overused()).toHaveLength(1)
  })
})
