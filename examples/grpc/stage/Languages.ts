/** In which language each service is, what that needs of the machine, and how its program is made. */
import { createHash } from "node:crypto"
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync
} from "node:fs"
import { delimiter, join } from "node:path"
import { Effect } from "effect"
import { runChild } from "../../stage/Child.ts"
import { StepFailed } from "../../stage/StepFailed.ts"

const here = join(import.meta.dirname, "..")
/** Gone with the packages, as `npm ci` begins anew. */
const cache = join(here, "..", "..", "node_modules", ".cache", "skein-examples")

export const serviceNames = ["order", "inventory", "payment", "shipping"] as const
export type Service = (typeof serviceNames)[number]

export const languages = ["typescript", "python", "go", "java"] as const
export type Language = (typeof languages)[number]

/** What each service is in, and answers as. */
const own: Readonly<Record<Service, Language>> = {
  order: "typescript",
  inventory: "python",
  payment: "go",
  shipping: "java"
}

export const spoken: Readonly<Record<Language, string>> = {
  typescript: "TypeScript",
  python: "Python",
  go: "Go",
  java: "Java"
}

/** Its own language where that is wanted; all are in TypeScript, too. */
export const languageOf = (service: Service, wanted: ReadonlyArray<Language>): Language =>
  wanted.includes(own[service]) ? own[service] : "typescript"

/** `--languages typescript,python`; all when nothing is said. */
export const wantedLanguages = (
  args: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Language>, StepFailed> => {
  const at = args.indexOf("--languages")
  if (at === -1) return Effect.succeed(languages)
  const words = (args[at + 1] ?? "").split(",")
  const wanted = languages.filter((name) => words.includes(name))
  if (wanted.length === words.length) return Effect.succeed(wanted)
  return new StepFailed({ message: `--languages ${words}: there are ${languages.join(", ")}` })
}

/** How a program is started: what runs it, word by word, and what is run. */
export interface Runnable {
  readonly runtime: ReadonlyArray<string>
  readonly script: string
}

/** Programs of the machine, where each is from, and what else they bring. */
const needs: Readonly<Record<Exclude<Language, "typescript">, ReadonlyArray<string>>> = {
  python: ["python3"],
  go: ["go"],
  java: ["java", "mvn"]
}
const from: Readonly<Record<Exclude<Language, "typescript">, string>> = {
  python: "Python 3.9 or newer with venv and pip: apt-get install python3-venv",
  go: "Go 1.24 or newer: https://go.dev/dl",
  java: "a JDK of 17 or newer and Maven: apt-get install openjdk-17-jdk-headless maven"
}

const isThere = (name: string): boolean =>
  (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

const without = "`--languages typescript` does without: each service is in TypeScript, too"

/** Made once for what its sources are; beside its place, so that nobody meets half of it. */
const made = (
  language: Exclude<Language, "typescript">,
  sources: ReadonlyArray<string>,
  make: (into: string) => Effect.Effect<unknown, StepFailed>
): Effect.Effect<string, StepFailed> =>
  Effect.gen(function* () {
    const missing = needs[language].filter((name) => !isThere(name))
    if (missing.length > 0) {
      const message = `${missing.join(" and ")} cannot be found. It needs ${from[language]}. ${without}`
      return yield* new StepFailed({ message })
    }
    const hash = createHash("sha256")
    for (const path of sources) hash.update(readFileSync(join(here, path)))
    const place = join(cache, `${language}-${hash.digest("hex").slice(0, 12)}`)
    if (existsSync(place)) return place
    const making = `${place}.${process.pid}`
    mkdirSync(cache, { recursive: true })
    yield* make(making).pipe(
      Effect.mapError(
        ({ message }) =>
          new StepFailed({ message: `${message}\n  It needs ${from[language]}. ${without}` })
      ),
      Effect.zipRight(Effect.sync(() => renameSync(making, place))),
      Effect.ensuring(Effect.sync(() => rmSync(making, { recursive: true, force: true })))
    )
    return place
  })

const python = Effect.map(
  made("python", ["python/requirements.txt"], (into) =>
    Effect.zipRight(
      runChild({
        name: "python3 -m venv",
        runtime: ["python3"],
        script: "-m",
        args: ["venv", into]
      }),
      runChild({
        name: "pip install",
        runtime: [join(into, "bin", "python")],
        script: "-m",
        args: ["pip", "install", "--quiet", "-r", join(here, "python", "requirements.txt")]
      })
    )
  ),
  (place) => ({
    runtime: [join(place, "bin", "python")],
    script: join(here, "python", "inventory.py")
  })
)

const go = Effect.map(
  made("go", ["go/go.mod", "go/go.sum", "go/payment.go", "shop.proto"], (into) =>
    runChild({
      name: "go build",
      runtime: ["go"],
      script: "-C",
      args: [join(here, "go"), "build", "-o", join(into, "payment"), "."]
    })
  ),
  (place) => ({ runtime: [], script: join(place, "payment") })
)

const shipping = "src/main/java/shop/Shipping.java"

const java = Effect.map(
  made("java", ["java/pom.xml", `java/${shipping}`, "shop.proto"], (into) =>
    runChild({
      name: "mvn package",
      runtime: ["mvn"],
      script: "--batch-mode",
      args: [
        ...["--quiet", "-f", join(here, "java", "pom.xml"), `-Dmade=${into}`, "package"],
        ...["dependency:copy-dependencies", "-DincludeScope=runtime"],
        `-DoutputDirectory=${join(into, "lib")}`
      ]
    })
  ),
  (place) => ({
    runtime: ["java", "-cp", `${join(place, "classes")}:${join(place, "lib")}/*`],
    script: "shop.Shipping"
  })
)

/** The program of a service, made where that is needed; the first time it may take a minute. */
export const programOf = (
  service: Service,
  wanted: ReadonlyArray<Language>
): Effect.Effect<Runnable, StepFailed> => {
  switch (languageOf(service, wanted)) {
    case "typescript":
      return Effect.succeed({
        runtime: [process.execPath],
        script: join(here, "typescript", `${service}.ts`)
      })
    case "python":
      return python
    case "go":
      return go
    case "java":
      return java
  }
}
