import { beforeEach, describe, expect, it } from "vitest"
import { payments } from "../../testing/InboundFixture.ts"
import { makeContext } from "../../testing/ListenerFixture.ts"
import { SocketBudget } from "../socket/SocketBudget.ts"
import { ListenerMetrics } from "./ListenerMetrics.ts"
import { type OtherUser, Refusals } from "./Refusals.ts"

let context: ReturnType<typeof makeContext>
let refusals: Refusals
const others: Array<OtherUser> = []
beforeEach(() => {
  context = makeContext()
  refusals = new Refusals({
    listener: "127.0.0.1:4140",
    maxConnections: 3,
    sockets: new SocketBudget(2).clients,
    metrics: new ListenerMetrics(context.metrics, "127.0.0.1:4140"),
    now: () => context.ticker.now(),
    log: context.base.log,
    onOtherUser: (refused) => others.push(refused)
  })
})

describe("refusals in the log", () => {
  it("are told at most once a minute for each reason, with how many there were since", () => {
    refusals.connection("max_connections")
    refusals.connection("max_connections")
    context.ticker.advance(59_990)
    refusals.connection("max_connections")
    refusals.connection("accept_failed", new Error("EMFILE"))
    context.ticker.advance(10)
    refusals.connection("max_connections")
    const full =
      "127.0.0.1:4140 has 3 connections, its limit; further ones are refused as they come"
    expect(context.logged).toEqual([
      ["warning", full],
      ["error", "127.0.0.1:4140 could not accept a connection: EMFILE"],
      ["warning", `${full}; 2 more since the last`]
    ])
  })

  it("tell of processes of other users when the log does, with how many there were", () => {
    for (const uid of [1000, 1001, undefined]) refusals.stranger(uid)
    context.ticker.advance(60_000)
    refusals.stranger(1002)
    const listener = "127.0.0.1:4140"
    expect(others).toEqual([
      { listener, uid: 1000, count: 1 },
      { listener, uid: 1002, count: 3 }
    ])
    expect(context.logged).toEqual([
      ["warning", `${listener} refused a connection of user 1000`],
      ["warning", `${listener} refused a connection of user 1002; 2 more since the last`]
    ])
  })

  it("tell a tunnel's reset with what it was about", () => {
    const fault = { code: "upstream_reset", message: "why", node: "host-b", sent: true } as const
    refusals.tunnel(payments, { ...fault, service: payments }, "127.0.0.1:1")
    refusals.tunnel(undefined, { ...fault, service: undefined }, "127.0.0.1:2")
    const { code, node } = fault
    expect(context.logged).toEqual([
      [
        "warning",
        "tunnel to payments reset: why",
        { code, node, service: payments, client: "127.0.0.1:1" }
      ],
      [
        "warning",
        "tunnel to a service reset: why",
        { code, node, service: undefined, client: "127.0.0.1:2" }
      ]
    ])
  })
})
