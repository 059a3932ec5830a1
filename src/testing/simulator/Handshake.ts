/**
 * A handshake, once TCP has connected the two: the gate of the one that is called decides when it begins;
 * then each side works twice, in turns, with a way between them each time. What was done for a caller that
 * has hung up meanwhile was done for nothing.
 */
import type { HandshakeLine } from "../../mesh/trust/HandshakeLine.ts"
import { Connection } from "./Connection.ts"
import type { Dialled, MeshNode } from "./World.ts"

export interface Call {
  readonly caller: MeshNode
  /** The caller has hung up. */
  readonly isOver: () => boolean
  readonly done: Dialled
  /** After so many ms the one that is called gives up, too. */
  readonly patience: number
}

/** What it returns is for a caller that has hung up: its kernel says so to the one that was called. */
export const handshake = (node: MeshNode, gate: HandshakeLine, call: Call): (() => void) => {
  const { caller, done, isOver, patience } = call
  const { network, profile, queue } = node.world
  const { cost, size } = profile
  const half = cost.handshake / 2
  const lives = new Map([
    [node, node.life],
    [caller, caller.life]
  ])
  const livesOn = (one: MeshNode): boolean => one.up && one.life === lives.get(one)
  const holds = (): boolean => !isOver() && livesOn(node) && livesOn(caller)
  const pass = (from: MeshNode, to: MeshNode, work: number, task: () => void): void => {
    if (network.isCut(from.index, to.index)) return
    const leaves = Math.max(0, from.loop.freeAt - queue.now)
    queue.after(leaves + network.delay(from.index, to.index), () => {
      if (livesOn(to)) to.loop.run(work, task)
    })
  }
  /** What the one that was called does when it hears that the caller has hung up. */
  let hungUp = (): void => withdraw()
  const work = (leave: () => void): void => {
    caller.links.handshakes++
    let over = false
    const end = (letIn: boolean): void => {
      if (over) return
      over = true
      if (!letIn) caller.links.wasted++
      leave()
    }
    node.later(patience, () => end(false))
    hungUp = () => end(false)
    for (const one of [node, caller]) {
      one.bytesOut += size.handshake / 2
      one.bytesIn += size.handshake / 2
    }
    /** Each hears what the other has heard of trust, and judges it by that. */
    const areMembers = (): boolean => {
      for (const [one, other] of [
        [node, caller],
        [caller, node]
      ] as const) {
        one.catalogue.receive(other.trust.records())
      }
      return !node.trust.isOut(caller.peer) && !caller.trust.isOut(node.peer)
    }
    const connected = (): void => {
      if (!areMembers()) {
        end(false)
        done(undefined)
        return
      }
      const wire = new Connection(caller, node, queue.now)
      caller.loop.charge(cost.admit)
      caller.links.opened(wire)
      done(caller.links.open.get(node.index))
      pass(caller, node, 0, () => {
        end(true)
        node.loop.charge(cost.admit)
        if (wire.open) node.links.opened(wire)
      })
    }
    const finish = (): void => {
      if (holds()) pass(node, caller, half, () => holds() && connected())
      else end(false)
    }
    const proceed = (): void => {
      if (holds()) pass(caller, node, half, finish)
    }
    // Agreeing on protocols costs another way.
    queue.after(network.delay(node.index, caller.index), () => {
      if (livesOn(node)) node.loop.run(half, () => pass(node, caller, half, proceed))
    })
  }
  let refused = false
  const withdraw = gate.enter({
    known: node.hasMet(caller),
    begin: work,
    refuse: (retryAfter) => {
      refused = true
      node.loop.charge(cost.refuse)
      pass(node, caller, cost.refuse, () => done(undefined, retryAfter))
    }
  })
  return () => {
    if (!refused && livesOn(caller)) pass(caller, node, 0, () => hungUp())
  }
}
