import { generationsInTurn } from "../fixtures/Generations.ts"

generationsInTurn(20)
