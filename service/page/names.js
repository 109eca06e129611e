/** What nets and systems are called in print, and which of them belong together. */

import { t } from "./words.js";

const PRINTED = {
  alexnet: "AlexNet",
  "alexnet-owt": "AlexNet (one tower)",
  cwrnn: "Clockwork RNN",
  "cwrnn-sequential": "Clockwork RNN",
  dragan: "DRAGAN",
  ebgan: "EBGAN",
  gan: "GAN",
  googlenet: "GoogLeNet",
  "googlenet-bn": "GoogLeNet (BN)",
  lenet5: "LeNet-5",
  madgan: "MAD-GAN",
  mobilenet: "MobileNet",
  nin: "Network in Network",
  pacgan: "PacGAN",
  unrolled: "Unrolled GAN",
  wgan: "WGAN",
  "wgan-gp": "WGAN-GP",
  xception: "Xception",
  zfnet: "ZFNet",
};
/** Those that every language has its own words for. */
const SPOKEN = { esn: "esn", "esn-sequential": "esn", minibatch: "minibatch", mlp: "mlp" };
const DATA =
  /-(stacked-mnist|mnist-minimax|mnist|fashion|cifar10|imagenet|ring|grid|mackey-glass|lorenz|narma10|waveforms)$/;

/** “LeNet-5” for lenet5-mnist; an id that nobody here knows stays as it is. */
export function nameOf(id) {
  const net = id.replace(DATA, "");
  if (net in SPOKEN) return t(`net.${SPOKEN[net]}`);
  const vgg = /^vgg(\d+)(-bn)?$/.exec(net);
  if (vgg) return `VGG-${vgg[1]}${vgg[2] ? " (BN)" : ""}`;
  return `${PRINTED[net] ?? net}${id.endsWith("-minimax") ? " (minimax)" : ""}`;
}

/** Of what a classifier knows the names: a word under which the page has a title. */
export function kindOf(model) {
  if (model.dataset.startsWith("fashion")) return "clothing";
  return model.dataset === "mnist" ? "digits" : "photographs";
}
