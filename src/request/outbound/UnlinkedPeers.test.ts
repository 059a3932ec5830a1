/**
 * Endpoints of nodes to which no link can be made: nothing has reached them, so nothing is held against
 * them, and they are called again as soon as there is a link.
 */
import { describe, expect, it } from "vitest"
import { bob } from "../../testing/LinkTestPair.ts"
import { carol, isCarol, makeMesh } from "../../testing/UnlinkedMesh.ts"

describe("a node to which there was no link when it was cut off", () => {
  it("is avoided as soon as no link is there in time, and called again once there is one", async () => {
    const { network, calls, statusOf } = makeMesh([bob, carol])
    network.swallows = isCarol
    // Those that wait for the link when it is found that there is none.
    const first = await calls(2_000)
    expect(first.failed).toBeLessThanOrEqual(11)
    expect(await calls(60_000)).toEqual({ failed: 0, atBob: 1_200, atCarol: 0 })
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0, breaker: "closed" })
    network.swallows = () => false
    // The attempt under way ends, and a pause, and then there is a link.
    await calls(10_500)
    expect(statusOf(carol)).toMatchObject({ linked: true, timesEjected: 0 })
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("is avoided still when its endpoints go and come meanwhile", async () => {
    const { network, calls, offered, statusOf } = makeMesh([bob, carol])
    network.swallows = isCarol
    await calls(10_000)
    offered([bob])
    offered([bob, carol])
    expect(statusOf(carol)).toMatchObject({ linked: false, selected: false })
    expect(await calls(10_000)).toEqual({ failed: 0, atBob: 200, atCarol: 0 })
    network.swallows = () => false
    await calls(10_500)
    expect(statusOf(carol)).toMatchObject({ linked: true })
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("costs nobody a call where calls are tried again", async () => {
    const { network, calls } = makeMesh([bob, carol], { retry: {} })
    network.swallows = isCarol
    expect(await calls(20_000)).toMatchObject({ failed: 0, atCarol: 0 })
    network.swallows = () => false
    await calls(10_500)
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })

  it("is not ejected when nobody else has what is called, nor is its circuit opened", async () => {
    const { network, calls, statusOf } = makeMesh([carol])
    network.swallows = isCarol
    expect((await calls(60_000)).atCarol).toBe(0)
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0, breaker: "closed" })
    network.swallows = () => false
    await calls(10_500)
    expect(await calls(2_000)).toMatchObject({ failed: 0, atCarol: 40 })
  })

  it("is avoided at once when it is gone, at the cost of one call", async () => {
    const { network, calls, statusOf } = makeMesh([bob, carol])
    network.reaches = (from, to) => !isCarol(from, to)
    expect(await calls(20_000)).toEqual({ failed: 1, atBob: 399, atCarol: 0 })
    expect(statusOf(carol)).toMatchObject({ linked: false, timesEjected: 0 })
    network.reaches = () => true
    await calls(5_500)
    expect(await calls(2_000)).toEqual({ failed: 0, atBob: 20, atCarol: 20 })
  })
})
