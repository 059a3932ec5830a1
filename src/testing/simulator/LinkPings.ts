/**
 * How an earlier mesh watched its connections, so that a run can show what came of it: a ping over each of
 * them every second, and one on which nothing came for some seconds is dropped. Nothing does so any more.
 */
import type { MeshNode } from "./World.ts"

const pingEvery = 1_000

export const pingLinks = (node: MeshNode, dropSilentAfter: number): void => {
  const heard = new Map<number, number>()
  const { profile, queue, random } = node.world
  const round = (): void => {
    for (const [index, wire] of node.links.open) {
      const since = heard.get(index)
      if (since === undefined) heard.set(index, queue.now)
      else if (queue.now - since > dropSilentAfter) {
        heard.delete(index)
        wire.close(node)
        continue
      }
      const other = wire.other(node)
      node.loop.charge(profile.cost.ask)
      wire.send(node, profile.size.ping, profile.cost.receive, () => {
        wire.send(other, profile.size.answer, profile.cost.receive, () => {
          heard.set(index, queue.now)
        })
      })
    }
    for (const index of heard.keys()) if (!node.links.open.has(index)) heard.delete(index)
    node.later(pingEvery, round)
  }
  node.later(pingEvery * random(), round)
}
