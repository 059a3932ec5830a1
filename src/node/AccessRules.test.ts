import { describe, expect, it } from "vitest"
import type { AccessSetting } from "../model/Access.ts"
import { MeshId, NodeName, PeerKey } from "../model/Names.ts"
import type { SettingBody, SettingInForce } from "../model/Setting.ts"
import { AccessRules } from "./AccessRules.ts"

const mesh = MeshId.make("0f".repeat(16))

const inForce = (name: string, body: SettingBody): [string, SettingInForce] => [
  name,
  {
    ...{ kind: "access", name, body, conflict: [], why: undefined, author: "ann" },
    ...{ signer: PeerKey.make("1".repeat(20)), node: NodeName.make("a") },
    ...{ epoch: 1, version: 0, signedAt: 1 }
  }
]

const start = () => {
  const told: Array<ReadonlyArray<AccessSetting>> = []
  const logged: Array<string> = []
  const rules = new AccessRules({
    mesh,
    log: (_, message) => logged.push(message),
    tell: (settings) => told.push(settings)
  })
  return { rules, told, logged }
}

describe("AccessRules", () => {
  it("tells what holds, in the order of names, and with callers of our own mesh as they call", () => {
    const { logged, rules, told } = start()
    const orders = { service: "payments", allow: [{ from: `${mesh}//service/orders` }] }
    rules.follow(new Map([inForce("b", orders), inForce("a", { default: "deny" })]))
    expect(told).toEqual([
      [
        { name: "a", mode: "enforce", services: [], allow: [], deny: [], default: "deny" },
        {
          ...{ name: "b", mode: "enforce", services: ["payments"], deny: [] },
          allow: [{ from: [{ kind: "service", name: "orders", open: false }] }]
        }
      ]
    ])
    rules.follow(new Map())
    expect(told[1]).toEqual([])
    expect(logged).toEqual([])
  })

  it("reads a version once, and says once that it does not understand all of it", () => {
    const { logged, rules, told } = start()
    const newer = inForce("a", { service: "payments", allow: [{ from: "*", hour: 7 }] })
    const unreadable = inForce("b", { about: "payments" })
    rules.follow(new Map([newer, unreadable]))
    rules.follow(new Map([newer, unreadable, inForce("c", { default: "allow" })]))
    expect(logged).toEqual([
      "access rules a were written by a newer node; what this one does not understand of them lets nobody through",
      "access rules b were written by a newer node, and this one cannot read whom they are about: they hold for nobody here"
    ])
    expect(told[1]?.map(({ name }) => name)).toEqual(["a", "c"])
    expect(told[1]?.[0]).toBe(told[0]?.[0])
    expect(told[0]?.[0]).toMatchObject({ services: ["payments"], allow: [] })
  })
})
