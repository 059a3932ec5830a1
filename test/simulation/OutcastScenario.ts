/**
 * A node is thrown out while it is cut off with a minority, which does not hear of it and serves it on. When
 * the two sides meet again it is out everywhere, and nobody else is worse off.
 */
import {
  defineScenario,
  type Invariant,
  peerOf,
  type Scenario,
  type Simulation
} from "../../src/testing/simulator/mod.ts"

const seconds = 1_000

export interface OutcastOptions {
  readonly nodes: number
  /** How many are cut off, the outcast among them. */
  readonly minority: number
  /** Of the cut, ms. */
  readonly lasts: number
  /** The outcast is killed while it is cut off, and comes back when all is over. */
  readonly returns?: boolean
}

const cutAt = 10 * seconds
const revokedAt = 20 * seconds

/** From the heal until it is out everywhere, ms; most of it is until the first connections across are made. */
const outWithin = 10 * seconds
/** Until the others are whole, as after every cut: what gossip did not bring, a comparison does. */
const wholeWithin = 35 * seconds

const others = (sim: Simulation, outcast: number) => sim.up.filter(({ index }) => index !== outcast)

/** Nobody knows it, is connected to it or has anything of it. */
const isOut = (sim: Simulation, outcast: number): string | undefined => {
  const peer = peerOf(outcast)
  for (const { catalogue, index, links, membership, trust } of others(sim, outcast)) {
    if (!trust.isOut(peer)) return `node ${index} has not heard of it`
    const { dead, ring } = membership.state
    if (ring.has(peer) || dead.has(peer)) return `node ${index} takes it for a member`
    if (catalogue.state.catalogue.node(peer) !== undefined) return `node ${index} has its record`
    if (links.open.has(outcast)) return `node ${index} is connected to it`
  }
  return undefined
}

/** Those that are up and may be are one mesh. */
const areWhole = (sim: Simulation, outcast: number): string | undefined => {
  const all = others(sim, outcast)
  for (const { index, links, membership } of all) {
    const { ring, suspects } = membership.state
    if (ring.size !== all.length) return `node ${index} sees ${ring.size} of ${all.length}`
    if (suspects.size > 0) return `node ${index} suspects ${suspects.size}`
    if (links.missing > 0) return `node ${index} lacks ${links.missing} connections`
  }
  const opinions = new Set(
    all.map(({ catalogue }) => sim.sharing.identity(catalogue.state.catalogue))
  )
  return opinions.size === 1 ? undefined : `${opinions.size - 1} other catalogues`
}

export const outcastOnTheOtherSide = (options: OutcastOptions): Scenario => {
  const { lasts, minority, nodes, returns = false } = options
  const outcast = nodes - 1
  const healedAt = cutAt + lasts
  const isCutOff = (index: number): boolean => index >= nodes - minority
  const knowing = (sim: Simulation) =>
    sim.up.filter(({ index, trust }) => index !== outcast && trust.isOut(peerOf(outcast)))

  const invariants: ReadonlyArray<Invariant> = [
    {
      // Otherwise all that follows would be shown by a cut that is none.
      name: "always_the_minority_hears_nothing_while_it_is_cut_off",
      check: (sim) =>
        sim.now < healedAt && knowing(sim).some(({ index }) => isCutOff(index))
          ? "somebody of the minority knows of it"
          : undefined
    },
    {
      name: "always_the_majority_knows_within_two_seconds",
      check: (sim) =>
        sim.now >= revokedAt + 2 * seconds && knowing(sim).length < nodes - minority
          ? `${knowing(sim).length} know of it`
          : undefined
    },
    {
      name: "always_who_knows_has_nothing_to_do_with_it",
      check: (sim) => {
        const wrong = knowing(sim).find(
          ({ catalogue, links }) =>
            links.open.has(outcast) || catalogue.state.catalogue.node(peerOf(outcast)) !== undefined
        )
        return wrong && `node ${wrong.index} does`
      }
    },
    {
      name: "always_nobody_else_of_ones_side_is_dead",
      check: (_, { falseDeaths }) => {
        const wrong = falseDeaths.find(
          ({ about, at, by }) =>
            about !== outcast &&
            by !== outcast &&
            (isCutOff(about) === isCutOff(by) || at > healedAt + wholeWithin)
        )
        return wrong && `node ${wrong.by} takes node ${wrong.about} for dead`
      }
    },
    {
      name: "eventually_it_is_out_everywhere",
      within: outWithin,
      check: (sim) => isOut(sim, outcast)
    },
    {
      name: "eventually_the_others_are_whole",
      within: wholeWithin,
      check: (sim) => areWhole(sim, outcast)
    },
    { name: "finally_it_is_out", check: (sim) => isOut(sim, outcast) },
    { name: "finally_the_others_are_whole", check: (sim) => areWhole(sim, outcast) },
    {
      name: "finally_it_knows_itself",
      check: (sim) =>
        sim.node(outcast).trust.isOut(peerOf(outcast)) ? undefined : "it takes itself for a member"
    }
  ]
  return defineScenario({
    name: `one of ${minority} that are cut off from ${nodes} is thrown out meanwhile${returns ? ", and comes back later" : ""}`,
    mesh: { nodes },
    duration: healedAt + 90 * seconds,
    faults: () => [
      {
        at: cutAt,
        lasts,
        what: `${minority} are cut off`,
        run: (sim) => sim.partition((index) => (isCutOff(index) ? 0 : 1))
      },
      {
        at: revokedAt,
        what: `node 0 throws out node ${outcast}`,
        run: (sim) => sim.revoke(outcast, 0)
      },
      ...[1, nodes - 2].map((index) => ({
        at: revokedAt + 5 * seconds,
        what: `node ${index} offers something else`,
        run: (sim: Simulation) => sim.node(index).catalogue.change({ software: "2" })
      })),
      ...(returns
        ? [
            {
              at: revokedAt + 2 * seconds,
              what: "the outcast is killed",
              run: (sim: Simulation) => sim.node(outcast).crash()
            },
            {
              at: healedAt,
              what: "the outcast starts",
              run: (sim: Simulation) => sim.node(outcast).start()
            }
          ]
        : [])
    ],
    invariants
  })
}
