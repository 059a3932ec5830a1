/** A mesh of Skein nodes with default config that offer nothing and are asked nothing. */
import { Schema } from "effect"
import { type Host, type HostOptions, TestMesh } from "../../test/fixtures/Mesh.ts"
import { treeOf } from "../peers/Peer.ts"
import { builtProgram, runtimeOf } from "../peers/SkeinPair.ts"
import type { CrowdSettings } from "./Crowd.ts"
import { inBatches, type Nodes, type Sighting, spreadOver, upTo, watchSightings } from "./Nodes.ts"

/** Of the node's answers, what is needed here. */
const Member = Schema.Struct({
  node: Schema.String,
  state: Schema.String,
  /** ms since 1970; all nodes have this host's clock. */
  sinceAt: Schema.Number
})
export type Member = typeof Member.Type

const decodeMembers = Schema.decodeUnknownSync(Schema.Array(Member))

/** Asked while one is dead: more of them, and the questions would be most of what they do. */
const watchers = 8
const lookEveryMs = 100

const members = async (host: Host) => decodeMembers(await host.api("members"))

/**
 * What a node says now, added to what it has said. It knows since when by itself, so that looking now
 * and then does. A state from before the kill is not about it.
 */
export const sightingOf = (
  before: Sighting,
  member: Member | undefined,
  killedAt: number
): Sighting => {
  if (member === undefined || member.sinceAt < killedAt) return before
  const since = member.sinceAt - killedAt
  if (member.state === "suspect") return { suspected: since, ...before }
  return member.state === "dead" ? { ...before, failed: before.failed ?? since } : before
}

export const startSkeinNodes = async (settings: CrowdSettings): Promise<Nodes> => {
  const mesh = new TestMesh()
  const options: HostOptions = {
    runtime: runtimeOf(undefined),
    threads: settings.threads,
    ...(settings.built ? { program: builtProgram() } : {})
  }
  const first = await mesh.first("node-0", options)
  const others = await inBatches(upTo(settings.nodes - 1), async (index) => {
    const host = await mesh.prepare(`node-${index}`, options)
    await host.up("--join", await first.quickInvite())
    return host
  })
  const hosts = [first, ...others]
  const alive = () => hosts.filter(({ process }) => process?.ended() === undefined)
  return {
    trees: hosts.flatMap(({ process }) => (process === undefined ? [] : [treeOf(process)])),
    seen: () =>
      Promise.all(
        alive().map(
          async (host) => (await members(host)).filter(({ state }) => state === "alive").length
        )
      ),
    kill: async (index, seconds) => {
      const victim = hosts[index]
      if (victim === undefined) throw new Error(`there is no node ${index}`)
      const asked = spreadOver(
        alive().filter((host) => host !== victim),
        watchers
      )
      const killedAt = Date.now()
      await victim.kill()
      let said: ReadonlyArray<Sighting> = asked.map(() => ({}))
      const look = async () => {
        said = await Promise.all(
          asked.map(async (host, at) => {
            const member = (await members(host)).find(({ node }) => node === victim.name)
            return sightingOf(said[at]!, member, killedAt)
          })
        )
        return said
      }
      return watchSightings(look, seconds, lookEveryMs)
    }
  }
}
