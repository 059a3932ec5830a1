/** The stories that the mesh is held to, by size: short ones for every run of the tests, full ones for long runs. */
import {
  defaultMembershipOptions,
  type MembershipOptions
} from "../../src/mesh/membership/MembershipOptions.ts"
import {
  defaultProfile,
  defineScenario,
  type Fault,
  type Invariant,
  invariants,
  type Profile,
  peerOf,
  type Scenario,
  type Simulation
} from "../../src/testing/simulator/mod.ts"

const seconds = 1_000
const minutes = 60 * seconds

const { noFalseDeath, noVersionTwice, oneCatalogue, quiet, stillWhole, whole } = invariants

/** One host of two cores for all nodes, as in a demonstration or a test of real processes. */
const oneHost = (nodes: number, settled: number): Scenario["mesh"] => ({
  nodes,
  settled,
  nodesPerHost: nodes,
  cores: 2,
  network: { latency: { middle: 0.3, spread: 0.2 } }
})

/** Requests take this much of a host's cores. */
const load = (share: number): Fault => ({
  at: 0,
  what: `requests take ${share * 100} % of the processors`,
  run: (sim) => {
    for (const host of sim.hosts) host.idle += share * host.cores.length
  }
})

const change = (at: number, index: number, content: string): Fault => ({
  at,
  what: `node ${index} offers something else`,
  run: (sim) => sim.node(index).catalogue.change({ software: content })
})

/** Changes on all sides, one every so many ms. */
const changes = (
  from: number,
  to: number,
  every: number,
  nodes: number,
  random: () => number
): ReadonlyArray<Fault> =>
  Array.from({ length: Math.floor((to - from) / every) }, (_, n) =>
    change(from + n * every, Math.floor(random() * nodes), `${n}`)
  )

const start = (at: number, index: number, inviter?: number): Fault => ({
  at,
  what: `node ${index} starts`,
  run: (sim) => sim.node(index).start(inviter === undefined ? undefined : sim.node(inviter))
})

const crash = (at: number, index: number): Fault => ({
  at,
  what: `node ${index} is killed`,
  run: (sim) => sim.node(index).crash()
})

/** What everybody holds of one node. */
const heldOf = (sim: Simulation, index: number) =>
  new Set(
    sim.up.map(({ catalogue }) => catalogue.state.catalogue.node(peerOf(index))?.record.software)
  )

const holds = (index: number, content: string): Invariant => ({
  name: `finally_everybody_has_the_last_of_node_${index}`,
  check: (sim) => {
    const held = heldOf(sim, index)
    return held.size === 1 && held.has(content) ? undefined : `held: ${[...held].join(", ")}`
  }
})

const fewSuspicions = (most: number): Invariant => ({
  name: "always_hardly_anybody_is_suspected",
  check: (_, { falseSuspicions }) =>
    falseSuspicions > most ? `${falseSuspicions} false suspicions` : undefined
})

const handshakesAtMost = (most: number): Invariant => ({
  name: "always_few_handshakes",
  check: ({ handshakes }) => (handshakes <= most ? undefined : `${handshakes} handshakes`)
})

// Three ways in which an earlier mesh came into a storm of handshakes that fed itself.

export const threeJoin = (): Scenario =>
  defineScenario({
    name: "three nodes join at once under load",
    mesh: oneHost(23, 20),
    duration: 60 * seconds,
    faults: () => [
      load(0.6),
      ...[20, 21, 22].map((index) => start(2 * seconds, index, index - 20))
    ],
    invariants: [noFalseDeath(), whole(15 * seconds), handshakesAtMost(150), quiet, stillWhole]
  })

export const singleJoins = (): Scenario =>
  defineScenario({
    name: "single nodes join a mesh of 26",
    mesh: oneHost(30, 26),
    duration: 90 * seconds,
    faults: () => [
      load(0.5),
      ...[26, 27, 28, 29].map((index, n) => start((2 + 10 * n) * seconds, index, n))
    ],
    invariants: [noFalseDeath(), whole(10 * seconds), handshakesAtMost(200), quiet, stillWhole]
  })

export const oneRestart = (): Scenario =>
  defineScenario({
    name: "one node of a settled mesh of 30 is restarted",
    mesh: oneHost(30, 30),
    duration: 60 * seconds,
    faults: () => [load(0.5), crash(2 * seconds, 7), start(3 * seconds, 7)],
    invariants: [
      noFalseDeath((index) => index === 7),
      whole(10 * seconds),
      handshakesAtMost(150),
      quiet,
      stillWhole
    ]
  })

export const wholeRestart = (nodes: number, onOneHost: boolean): Scenario =>
  defineScenario({
    name: `all ${nodes} are killed and started at once${onOneHost ? ", on one host" : ""}`,
    mesh: onOneHost ? oneHost(nodes, nodes) : { nodes },
    duration: 2 * minutes,
    faults: () => [
      {
        at: 2 * seconds,
        what: "all are killed",
        run: (sim) => {
          for (const node of sim.nodes) node.crash()
        }
      },
      {
        at: 3 * seconds,
        what: "all are started",
        run: (sim) => {
          for (const node of sim.nodes) node.start()
        }
      }
    ],
    invariants: [whole(onOneHost ? 45 * seconds : 20 * seconds), noVersionTwice, quiet, stillWhole]
  })

// Trouble with processes.

/** A tenth of the nodes, another one each time, stops for one to four seconds. */
const stalls = (nodes: number, until: number, random: () => number): ReadonlyArray<Fault> =>
  Array.from({ length: Math.floor(until / (10 * seconds)) }, (_, round) => ({
    at: (5 + 10 * round) * seconds,
    lasts: 4 * seconds,
    what: "a tenth of the nodes stops for up to 4 s",
    run: (sim: Simulation) => {
      for (let n = 0; n < nodes / 10; n++) {
        sim.node(Math.floor(random() * nodes)).pause((1 + 3 * random()) * seconds)
      }
    }
  }))

export const stallsAndLoss = (nodes: number, lasting: number): Scenario =>
  defineScenario({
    name: `a tenth of ${nodes} stalls again and again, and 2 % of all segments are lost`,
    mesh: { nodes, network: { loss: 0.02, duplication: 0.02 } },
    duration: lasting + minutes,
    faults: (random) => [
      ...stalls(nodes, lasting, random),
      ...changes(0, lasting, 7 * seconds, nodes, random)
    ],
    invariants: [noFalseDeath(), whole(35 * seconds), oneCatalogue]
  })

export const onlyLoss = (nodes: number, lasting: number): Scenario =>
  defineScenario({
    name: `2 % of all segments of ${nodes} are lost`,
    mesh: { nodes, network: { loss: 0.02 } },
    duration: lasting,
    faults: () => [],
    invariants: [noFalseDeath(), fewSuspicions(2 * nodes), stillWhole]
  })

export const flapping = (nodes: number, times: number): Scenario =>
  defineScenario({
    name: `one of ${nodes} is killed and started ${times} times`,
    mesh: { nodes },
    duration: (times * 12 + 40) * seconds,
    faults: (random) =>
      Array.from({ length: times }, (_, n) => {
        const at = (5 + 12 * n) * seconds
        return [crash(at, 3), start(at + (1 + 6 * random()) * seconds, 3)]
      }).flat(),
    invariants: [noFalseDeath((index) => index === 3), noVersionTwice, whole(10 * seconds), quiet]
  })

export const tenthCrashes = (nodes: number): Scenario =>
  defineScenario({
    name: `a tenth of ${nodes} is killed at once`,
    mesh: { nodes },
    duration: 90 * seconds,
    faults: () => [
      {
        at: 5 * seconds,
        what: "every tenth node is killed",
        run: (sim) => {
          for (const node of sim.nodes) if (node.index % 10 === 0) node.crash()
        }
      }
    ],
    invariants: [noFalseDeath(), whole(30 * seconds), quiet, stillWhole]
  })

export const rollingRestart = (nodes: number): Scenario =>
  defineScenario({
    name: `all ${nodes} are restarted, one after the other`,
    mesh: { nodes },
    duration: (nodes * 3 + 40) * seconds,
    faults: () =>
      Array.from({ length: nodes }, (_, index) => [
        crash((2 + 3 * index) * seconds, index),
        start((3 + 3 * index) * seconds, index)
      ]).flat(),
    invariants: [
      noVersionTwice,
      {
        name: "always_who_runs_for_long_is_alive",
        check: (sim, { falseDeaths }) => {
          const wrong = falseDeaths.find(
            ({ about, at }) => sim.node(about).startedAt < at - 10 * seconds
          )
          return wrong && `node ${wrong.by} takes node ${wrong.about} for dead`
        }
      },
      whole(15 * seconds),
      quiet
    ]
  })

export const massJoin = (settled: number, joining: number): Scenario =>
  defineScenario({
    name: `${joining} join a mesh of ${settled} at once`,
    mesh: { nodes: settled + joining, settled },
    duration: 2 * minutes,
    faults: (random) =>
      Array.from({ length: joining }, (_, n) =>
        start(2 * seconds + 2 * seconds * random(), settled + n, Math.floor(random() * settled))
      ),
    invariants: [noFalseDeath(), whole(60 * seconds), oneCatalogue, quiet]
  })

// Trouble with the network, with changes on all sides.

type Side = (index: number) => number

const cutOff = (
  name: string,
  mesh: Scenario["mesh"],
  lasts: number,
  cut: (sim: Simulation) => () => void,
  more: ReadonlyArray<Invariant> = []
): Scenario =>
  defineScenario({
    name,
    mesh,
    duration: lasts + 90 * seconds,
    faults: (random) => [
      { at: 5 * seconds, lasts, what: name, run: cut },
      ...changes(5 * seconds, lasts, Math.max(3 * seconds, lasts / 30), mesh.nodes, random)
    ],
    invariants: [whole(35 * seconds), noVersionTwice, oneCatalogue, quiet, ...more]
  })

const half =
  (nodes: number): Side =>
  (index) =>
    index < nodes / 2 ? 0 : 1

export const halves = (nodes: number, lasts: number): Scenario =>
  cutOff(`${nodes} in halves for ${lasts / seconds} s`, { nodes }, lasts, (sim) =>
    sim.partition(half(nodes))
  )

export const minority = (nodes: number, lasts: number): Scenario =>
  cutOff(`a tenth of ${nodes} cut off for ${lasts / seconds} s`, { nodes }, lasts, (sim) =>
    sim.partition((index) => (index < nodes / 10 ? 0 : 1))
  )

/** One node reaches both halves, which do not reach each other. */
export const bridge = (nodes: number, lasts: number): Scenario =>
  cutOff(
    `${nodes} in halves with a bridge for ${lasts / seconds} s`,
    { nodes },
    lasts,
    (sim) => sim.cut((from, to) => from !== 0 && to !== 0 && half(nodes)(from) !== half(nodes)(to)),
    [
      // All that the halves hear of each other goes through one: now and then somebody misses a denial.
      {
        name: "always_hardly_anybody_alive_is_dead",
        check: (_, { falseDeaths }) =>
          falseDeaths.length > nodes / 10 ? `${falseDeaths.length} false deaths` : undefined
      },
      {
        name: "always_loops_in_time",
        check: (_, { worst }) => (worst < 500 ? undefined : `a loop was ${worst} ms late`)
      },
      // Who sees nothing of the other half accuses it, and it denies, as long as the cut lasts.
      {
        name: "always_calmer_while_it_lasts",
        check: ({ now }, { samples }) => {
          if (now < 50 * seconds || now > lasts) return undefined
          const last = samples.slice(-10)
          const traffic = last.reduce((sum, sample) => sum + sample.traffic, 0) / last.length
          const most = (now < 5 * minutes ? 2 : 0.5) * nodes
          return traffic <= most ? undefined : `${Math.round(traffic)} kB/s a node`
        }
      }
    ]
  )

export const oneWay = (nodes: number, lasts: number): Scenario =>
  cutOff(
    `one half of ${nodes} hears the other and not the reverse, for ${lasts / seconds} s`,
    { nodes },
    lasts,
    (sim) => sim.cut((from, to) => half(nodes)(from) === 0 && half(nodes)(to) === 1)
  )

export const zone = (nodes: number, lasts: number): Scenario => {
  const zoneOf = (index: number) => `zone-${index % 3}`
  const far = { middle: 50, spread: 20 }
  const mesh = {
    nodes,
    zoneOf,
    network: {
      latency: far,
      between: Object.fromEntries(
        [0, 1, 2].map((n) => [`zone-${n}`, { [`zone-${n}`]: { middle: 1, spread: 0.5 } }])
      )
    }
  }
  return cutOff(
    `one of three zones of ${nodes} cut off for ${lasts / seconds} s`,
    mesh,
    lasts,
    (sim) => sim.partition((index) => (index % 3 === 0 ? 0 : 1))
  )
}

export const tombstone = (nodes: number, lasts: number): Scenario => {
  const side: Side = (index) => (index < nodes / 4 ? 0 : 1)
  return defineScenario({
    name: `nodes leave while a quarter of ${nodes} is cut off for ${lasts / seconds} s`,
    mesh: { nodes },
    duration: lasts + 2 * minutes,
    faults: () => [
      { at: 5 * seconds, lasts, what: "a quarter is cut off", run: (sim) => sim.partition(side) },
      ...[1, nodes - 1].map((index) => ({
        at: 10 * seconds,
        what: `node ${index} leaves`,
        run: (sim: Simulation) => sim.node(index).leave()
      }))
    ],
    invariants: [
      {
        name: "finally_who_left_has_left_everywhere",
        check: (sim) => {
          const wrong = [1, nodes - 1].find((index) => {
            const states = sim.statesOf(index)
            return states.size !== 1 || !states.has("left")
          })
          return wrong === undefined ? undefined : `node ${wrong} has not left for all`
        }
      },
      oneCatalogue
    ]
  })
}

// Trouble with records.

const slowed = (times: number): Profile => {
  const { cost } = defaultProfile
  const { forward, receive, verify } = cost
  const slow = { forward: times * forward, receive: times * receive, verify: times * verify }
  return { ...defaultProfile, cost: { ...cost, ...slow } }
}

/** `slowness`: what gossip costs, in times of what it does. A few of slow ones are as many of fast ones. */
export const announcementStorm = (nodes: number, times: number, slowness = 1): Scenario =>
  defineScenario({
    name: `all ${nodes} change at once, ${times} times${slowness === 1 ? "" : `, ${slowness} times as slow`}`,
    mesh: { nodes, profile: slowed(slowness) },
    duration: 60 * seconds,
    faults: () =>
      Array.from({ length: times }, (_, n) => ({
        at: (2 + n) * seconds,
        what: "all offer something else",
        run: (sim: Simulation) => {
          for (const node of sim.nodes) node.catalogue.change({ software: `${n}` })
        }
      })),
    invariants: [
      noFalseDeath(),
      fewSuspicions(10 * nodes),
      whole(10 * seconds),
      oneCatalogue,
      noVersionTwice,
      quiet
    ]
  })

export const equivocation = (nodes: number): Scenario =>
  defineScenario({
    name: "one owner signs two things under one version",
    mesh: { nodes },
    duration: 90 * seconds,
    faults: () => [
      {
        at: 5 * seconds,
        what: "node 3 says two things under one version to two others",
        run: (sim) => {
          sim.forge(3, 10, { version: 5, software: "one" })
          sim.forge(3, 20, { version: 5, software: "other" })
        }
      }
    ],
    invariants: [noFalseDeath(), whole(60 * seconds), oneCatalogue]
  })

/** A copy of node 3's data directory runs elsewhere and says what it offers for a minute. */
export const clonedKey = (nodes: number): Scenario =>
  defineScenario({
    name: "a key is used by two nodes at once",
    mesh: { nodes },
    duration: 3 * minutes,
    faults: () => [
      ...Array.from({ length: 20 }, (_, n) => ({
        at: (5 + 3 * n) * seconds,
        what: "the copy says what it offers, above what is known",
        run: (sim: Simulation) => {
          const { record } = sim.node(10).catalogue.state.catalogue.node(peerOf(3))!
          sim.forge(3, 10, { version: record.version + 1, software: "copy" })
        }
      })),
      change(80 * seconds, 3, "original")
    ],
    invariants: [
      noFalseDeath(),
      whole(35 * seconds),
      oneCatalogue,
      holds(3, "original"),
      {
        name: "finally_the_owner_answered_at_most_once_for_each",
        check: (sim) => {
          const { contested, version } = sim.node(3).catalogue.state.own
          if (contested < 20) return `noticed ${contested} of 20`
          return version > 50 ? `${version} versions` : undefined
        }
      }
    ]
  })

export const fastClock = (nodes: number): Scenario =>
  defineScenario({
    name: "the clock of one is an hour ahead, and is set right",
    mesh: { nodes },
    duration: 5 * minutes,
    faults: () => [
      crash(3 * seconds, 3),
      {
        at: 4 * seconds,
        what: "node 3 starts with its clock an hour ahead",
        run: (sim) => {
          sim.setClock(3, 60 * minutes)
          sim.node(3).start()
        }
      },
      change(20 * seconds, 3, "ahead"),
      {
        at: 90 * seconds,
        what: "its clock is set right",
        run: (sim) => sim.setClock(3, 0)
      },
      change(100 * seconds, 3, "right")
    ],
    invariants: [
      noFalseDeath((index) => index === 3),
      {
        name: "always_nobody_believes_the_future",
        check: (sim) => {
          const wall = sim.wallStart + sim.now + 10 * minutes
          const wrong = sim.up.some(
            ({ catalogue, index }) =>
              index !== 3 &&
              (catalogue.state.catalogue.node(peerOf(3))?.record.epoch ?? 0) > wall + seconds
          )
          return wrong ? "a record of the future was taken" : undefined
        }
      },
      whole(65 * seconds),
      holds(3, "right")
    ]
  })

/** Of the version before: suspicion grows faster with the mesh, helpers wait longer, connections are kept. */
const earlier: MembershipOptions = {
  ...defaultMembershipOptions,
  helperTimeout: 500,
  giveUp: Number.POSITIVE_INFINITY,
  suspicion: { ...defaultMembershipOptions.suspicion, growth: 4 }
}

/** Every second node has the intervals and times of the version before. */
export const twoVersions = (nodes: number): Scenario =>
  defineScenario({
    name: "two versions side by side",
    mesh: {
      nodes,
      membership: (index) => (index % 2 === 0 ? defaultMembershipOptions : earlier)
    },
    duration: 2 * minutes,
    faults: () => [crash(5 * seconds, 3), crash(5 * seconds, 4), change(6 * seconds, 5, "new")],
    invariants: [noFalseDeath(), whole(30 * seconds), holds(5, "new"), stillWhole]
  })
