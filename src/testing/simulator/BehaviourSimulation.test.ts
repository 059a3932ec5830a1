import { describe, expect, it } from "vitest"
import type { PureActor } from "../../mesh/actor/Behaviour.ts"
import { BehaviourSimulation } from "./BehaviourSimulation.ts"

type Message = { readonly to: string; readonly hops: number } | "tick"
type Action = Message

interface Seen {
  readonly lives: number
  readonly heard: ReadonlyArray<number>
  readonly ticks: number
}

/** Hands a message on as often as it says; counts its lives and its ticks. */
const hopper: PureActor<Seen, Message, Action> = {
  initial: { lives: 0, heard: [], ticks: 0 },
  begin: (state) => [{ ...state, lives: state.lives + 1 }, ["tick"]],
  step: (state, message, { now }) => {
    if (message === "tick") return [{ ...state, ticks: state.ticks + 1 }, ["tick"]]
    const heard = { ...state, heard: [...state.heard, Math.round(now)] }
    return [heard, message.hops === 0 ? [] : [{ to: message.to, hops: message.hops - 1 }]]
  }
}

const start = (seed: number) =>
  new BehaviourSimulation<Seen, Message, Action>({
    ...{ actors: ["a", "b"], behaviour: hopper, seed },
    network: { latency: { middle: 10, spread: 5 } },
    interpret: (action, { later, self, send }) => {
      if (action === "tick") later(100, "tick")
      else send(action.to, { to: self, hops: action.hops })
    }
  })

describe("behaviours on a virtual clock", () => {
  it("send each other messages that take their time, the same for the same seed", () => {
    const run = (seed: number) => {
      const sim = start(seed)
      sim.tell("a", { to: "b", hops: 6 })
      sim.advance(1_000)
      return [sim.state("a"), sim.state("b")] as const
    }
    const [a, b] = run(7)
    expect(a.heard).toHaveLength(4)
    expect(b.heard).toHaveLength(3)
    const way = b.heard[0]! - a.heard[0]!
    expect(way).toBeGreaterThanOrEqual(5)
    expect(way).toBeLessThanOrEqual(15)
    expect(a.ticks).toBe(10)
    expect(run(7)).toEqual([a, b])
    expect(run(8)).not.toEqual([a, b])
  })

  it("begin again from what was saved last, and what they meant to do later is gone", () => {
    const sim = start(1)
    sim.tell("a", { to: "b", hops: 0 })
    sim.advance(250)
    sim.crash("a", 1_000)
    sim.tell("a", { to: "b", hops: 0 })
    // A second time, while it is down.
    sim.advance(500)
    sim.crash("a", 1_000)
    sim.advance(900)
    expect(sim.state("a")).toEqual({ lives: 1, heard: [0], ticks: 2 })
    expect(sim.lost).toBe(1)
    sim.advance(350)
    expect(sim.state("a")).toEqual({ lives: 2, heard: [0], ticks: 4 })
    expect(sim.state("b").ticks).toBe(20)
  })

  it("lose what is sent while they are cut off from each other", () => {
    const sim = start(1)
    const heal = sim.cut((from, to) => from === "a" && to === "b")
    sim.tell("a", { to: "b", hops: 1 })
    sim.tell("b", { to: "a", hops: 1 })
    sim.advance(100)
    expect(sim.state("b").heard).toHaveLength(1)
    expect(sim.state("a").heard).toHaveLength(2)
    expect(sim.lost).toBe(1)
    heal()
    sim.tell("a", { to: "b", hops: 1 })
    sim.advance(100)
    expect(sim.state("b").heard).toHaveLength(2)
    expect(() => sim.tell("c", "tick")).toThrow("there is no actor c")
  })
})
