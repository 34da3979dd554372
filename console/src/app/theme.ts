import { Badge, createTheme, type MantineColorsTuple } from "@mantine/core";

const iris: MantineColorsTuple = [
  "#f0efff",
  "#dfdcfb",
  "#bdb7f2",
  "#9990e8",
  "#7a6fe0",
  "#675ada",
  "#5b4bdb",
  "#4c3dc2",
  "#4336ae",
  "#382d99",
];

export const theme = createTheme({
  primaryColor: "iris",
  primaryShade: { light: 6, dark: 4 },
  autoContrast: true,
  colors: { iris },
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  fontFamily:
    "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans SC', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace",
  components: { Badge: Badge.extend({ defaultProps: { tt: "none", fw: 600 } }) },
  headings: {
    fontWeight: "650",
    sizes: { h1: { fontSize: "1.6rem" }, h2: { fontSize: "1.2rem" }, h3: { fontSize: "1rem" } },
  },
});
