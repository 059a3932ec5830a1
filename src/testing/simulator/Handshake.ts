/**
 * A handshake, once TCP has connected the two: the gate of the one that is called decides when it begins;
 * then each side works twice, in turns, with a way between them each time. A caller that has hung up
 * meanwhile is found out only by the next message to it, and what was done until then was done for nothing.
 */
import { Connection } from "./Connection.ts"
import type { Gate } from "./Gate.ts"
import type { Dialled, MeshNode } from "./World.ts"

export interface Call {
  readonly caller: MeshNode
  /** The caller has hung up. */
  readonly isOver: () => boolean
  readonly done: Dialled
  /** After so many ms the one that is called gives up, too. */
  readonly patience: number
}

export const handshake = (node: MeshNode, gate: Gate, call: Call): void => {
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
  const work = (leave: (now: number) => void): void => {
    caller.links.handshakes++
    let over = false
    const end = (letIn: boolean): void => {
      if (over) return
      over = true
      if (!letIn) caller.links.wasted++
      leave(queue.now)
    }
    node.later(patience, () => end(false))
    for (const one of [node, caller]) {
      one.bytesOut += size.handshake / 2
      one.bytesIn += size.handshake / 2
    }
    const connected = (): void => {
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
  gate.enter(queue.now, {
    known: node.hasMet(caller),
    begin: work,
    refuse: (retryAfter) => {
      node.loop.charge(cost.refuse)
      pass(node, caller, cost.refuse, () => done(undefined, retryAfter))
    }
  })
}
