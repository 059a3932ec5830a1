/** Purses in the simulator: `node examples/behaviour/simulated.ts` in a checkout. */
import { BehaviourSimulation } from "skein/testing"
import { type Purse, type PurseAction, type PurseMessage, purse } from "./purse.ts"

const names: ReadonlyArray<string> = ["ann", "bob", "cid"]

/** What all purses hold, and what is on its way between them. */
const total = (purses: ReadonlyArray<Purse>): number => {
  const held = purses.reduce((sum, { coins }) => sum + coins, 0)
  const onTheWay = purses.flatMap(({ open }, giver) =>
    Object.entries(open).map(([number, { coins, to }]) => {
      const taken = purses[names.indexOf(to)]?.taken[names[giver]!] ?? []
      return taken.includes(Number(number)) ? 0 : coins
    })
  )
  return onTheWay.reduce((sum, coins) => sum + coins, held)
}

/** One run; throws when a coin is lost or made. */
const runOnce = (seed: number): { readonly gifts: number; readonly lost: number } => {
  const sim = new BehaviourSimulation<Purse, PurseMessage, PurseAction>({
    ...{ actors: names, behaviour: purse, seed },
    interpret: (action, { later, self, send }) => {
      const { number } = action
      if (action._tag === "taken") send(action.to, { _tag: "taken", number })
      else {
        send(action.gift.to, { _tag: "offer", from: self, number, coins: action.gift.coins })
        later(1_000, { _tag: "again", number })
      }
    }
  })
  const some = (count: number): number => Math.floor(sim.random() * count)
  const purses = () => names.map((name) => sim.state(name))
  const check = (): void => {
    const coins = total(purses())
    if (coins !== 300) throw new Error(`seed ${seed}, ${sim.now} ms: ${coins} coins, and not 300`)
  }
  for (let second = 0; second < 60; second++) {
    const from = some(3)
    const to = names[(from + 1 + some(2)) % 3]!
    sim.tell(names[from]!, { _tag: "give", to, coins: 1 + some(20) })
    if (some(5) === 0) sim.crash(names[some(3)]!, 100 + some(5_000))
    if (some(10) === 0) {
      const alone = names[some(3)]!
      const heal = sim.cut((a, b) => (a === alone) !== (b === alone))
      sim.queue.after(some(5_000), heal)
    }
    sim.advance(1_000)
    check()
  }
  // All are up, and all are heard: what was open is taken.
  sim.advance(20_000)
  check()
  for (const { open } of purses())
    if (Object.keys(open).length > 0) throw new Error(`seed ${seed}: a gift is never taken`)
  return { gifts: purses().reduce((sum, { given }) => sum + given, 0), lost: sim.lost }
}

/** Runs it with so many seeds, and says what has happened in them. */
const runMany = (seeds: number): string => {
  let [gifts, lost] = [0, 0]
  for (let seed = 1; seed <= seeds; seed++) {
    const run = runOnce(seed)
    gifts += run.gifts
    lost += run.lost
  }
  return `${gifts} gifts in ${seeds} runs, ${lost} messages lost, and no coin`
}

console.log(runMany(200))
