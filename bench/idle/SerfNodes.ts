/** Agents of Serf with the LAN profile, its default, encrypted, without a snapshot and without tags. */
import { Schema } from "effect"
import { freePort, type Running, runWell, start, until } from "../../test/fixtures/Processes.ts"
import { treeOf } from "../peers/Peer.ts"
import type { CrowdSettings } from "./Crowd.ts"
import { inBatches, type Nodes, type Sighting, upTo, watchSightings } from "./Nodes.ts"

const Members = Schema.parseJson(
  Schema.Struct({
    members: Schema.Array(Schema.Struct({ name: Schema.String, status: Schema.String }))
  })
)
const decodeMembers = Schema.decodeSync(Members)

interface Agent {
  readonly name: string
  readonly rpc: string
  readonly running: Running
}

/** Its log is looked at here, which asks nothing of it. */
const lookEveryMs = 20

/**
 * What an agent's log says of another, added to what it has said. Only the agent whose probe failed
 * writes of suspicion; all write of failures.
 */
export const sightingIn = (
  before: Sighting,
  log: string,
  name: string,
  sinceKill: number
): Sighting => {
  const suspects = log.includes(`memberlist: Suspect ${name} has failed`)
  const fails = log.includes(`serf: EventMemberFailed: ${name} `)
  return {
    ...(suspects ? { suspected: sinceKill } : {}),
    ...(fails ? { failed: sinceKill } : {}),
    ...before
  }
}

export const startSerfNodes = async ({ serf, nodes }: CrowdSettings): Promise<Nodes> => {
  const key = (await runWell(serf, ["keygen"])).stdout.trim()
  const aliveAs = async (rpc: string): Promise<number> => {
    const { stdout } = await runWell(serf, ["members", "-format=json", `-rpc-addr=${rpc}`])
    return decodeMembers(stdout).members.filter(({ status }) => status === "alive").length
  }
  const agent = async (
    index: number,
    join?: string
  ): Promise<Agent & { readonly bind: string }> => {
    const name = `node-${index}`
    const bind = `127.0.0.1:${await freePort()}`
    const rpc = `127.0.0.1:${await freePort()}`
    const args = [
      "agent",
      `-node=${name}`,
      `-bind=${bind}`,
      `-rpc-addr=${rpc}`,
      `-encrypt=${key}`,
      "-profile=lan",
      ...(join === undefined ? [] : [`-join=${join}`])
    ]
    const running = start(serf, args, { what: `serf's ${name}` })
    const joined = async () =>
      (await aliveAs(rpc)) > (join === undefined ? 0 : 1) ? true : undefined
    await until(`serf's ${name} joined`, joined, 30, [running])
    return { name, bind, rpc, running }
  }
  const first = await agent(0)
  const others = await inBatches(upTo(nodes - 1), (index) => agent(index, first.bind))
  const agents: ReadonlyArray<Agent> = [first, ...others]
  const alive = () => agents.filter(({ running }) => running.ended() === undefined)
  return {
    trees: agents.map(({ running }) => treeOf(running)),
    seen: async () => {
      const counts: Array<number> = []
      for (const { rpc } of alive()) counts.push(await aliveAs(rpc))
      return counts
    },
    kill: async (index, seconds) => {
      const victim = agents[index]
      if (victim === undefined) throw new Error(`there is no node ${index}`)
      const watched = alive().filter((it) => it !== victim)
      await victim.running.stop("SIGKILL")
      let said: ReadonlyArray<Sighting> = watched.map(() => ({}))
      const look = async (sinceKill: number) => {
        said = watched.map(({ running }, at) =>
          sightingIn(said[at]!, running.output(), victim.name, sinceKill)
        )
        return said
      }
      return watchSightings(look, seconds, lookEveryMs)
    }
  }
}
