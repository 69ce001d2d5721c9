// Colours and density, for light and dark; charts and strips take their colours from here too.
import { theme, type ThemeConfig } from 'antd';

export type Mode = 'light' | 'dark';

export const palette = {
  light: { good: '#1a7f4b', busy: '#1668a8', warn: '#9a5b00', bad: '#c22f2f', idle: '#5d6b78', line: '#1f6f8b', page: '#f5f7f9' },
  dark: { good: '#4ac483', busy: '#5aaef0', warn: '#e0a33a', bad: '#f2777a', idle: '#9aa7b4', line: '#4fb3d3', page: '#0f1519' },
} as const;

// What the algorithm makes of our rather dark seeds is too grey to read on.
const light = {
  colorPrimaryBg: '#e8f3f7', colorPrimaryBgHover: '#d5e9f0', colorPrimaryBorder: '#9cc8d8', colorPrimaryBorderHover: '#7ab3c8',
  colorSuccessBg: '#eaf7f0', colorSuccessBgHover: '#cdebdb', colorSuccessBorder: '#a5dabd', colorSuccessText: '#146c3f',
  colorWarningBg: '#fff6e5', colorWarningBgHover: '#ffe9c2', colorWarningBorder: '#f3cd8d', colorWarningText: '#8a5200',
  colorErrorBg: '#fdf0ef', colorErrorBgHover: '#fbdedc', colorErrorBorder: '#f0b3b0', colorErrorText: '#b32626',
  colorInfo: '#1668a8', colorInfoBg: '#eaf3fb', colorInfoBorder: '#a9cdea',
};
const dark = {
  colorPrimaryBg: '#143440', colorPrimaryBgHover: '#1b4352', colorPrimaryBorder: '#27617a',
  colorSuccessBg: '#12301f', colorSuccessBgHover: '#1c4a33', colorSuccessBorder: '#2b6546', colorSuccessText: '#5fc795',
  colorWarningBg: '#352a12', colorWarningBgHover: '#4a3a17', colorWarningBorder: '#6d5420', colorWarningText: '#e6b357',
  colorErrorBg: '#3a1b1c', colorErrorBgHover: '#4d2324', colorErrorBorder: '#74383a', colorErrorText: '#f59494',
  colorInfo: '#5aaef0', colorInfoBg: '#12293d', colorInfoBorder: '#27507a',
};

export function themeFor(mode: Mode): ThemeConfig {
  const c = palette[mode];
  return {
    algorithm: mode === 'dark' ? theme.darkAlgorithm : theme.defaultAlgorithm,
    cssVar: true,
    hashed: false,
    token: {
      colorPrimary: mode === 'dark' ? '#2f86a3' : '#1b6580',
      ...(mode === 'dark' ? { colorPrimaryHover: '#2b7a95' } : {}),
      colorLink: mode === 'dark' ? '#67bdd8' : '#15607c',
      colorLinkHover: mode === 'dark' ? '#8fd3e8' : '#0d465b',
      colorSuccess: mode === 'dark' ? '#3aa76d' : '#1a7f4b',
      colorWarning: mode === 'dark' ? '#d1912a' : '#b26a00',
      colorError: mode === 'dark' ? '#ff7f7d' : '#c22f2f',
      ...(mode === 'dark' ? dark : light),
      colorBgLayout: c.page,
      colorBgContainer: mode === 'dark' ? '#171f25' : '#ffffff',
      colorBgElevated: mode === 'dark' ? '#1e2830' : '#ffffff',
      // secondary text at 4.5:1 and better on every ground
      colorTextSecondary: mode === 'dark' ? '#b4c0ca' : '#4a5763',
      colorTextTertiary: mode === 'dark' ? '#a0adb8' : '#5b6874',
      colorTextDescription: mode === 'dark' ? '#a9b5bf' : '#55626e',
      colorTextPlaceholder: mode === 'dark' ? '#96a3ae' : '#65727e',
      motion: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
      borderRadius: 6,
      fontSize: 14,
      fontFamily:
        'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
      fontFamilyCode: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      motionDurationMid: '0.12s',
      motionDurationSlow: '0.18s',
    },
    components: {
      Layout: { headerBg: mode === 'dark' ? '#131a1f' : '#ffffff', siderBg: mode === 'dark' ? '#131a1f' : '#ffffff', headerPadding: '0 16px', headerHeight: 52 },
      Table: { cellPaddingBlock: 9, headerBg: mode === 'dark' ? '#1b252c' : '#f0f3f6' },
      Menu: { itemBg: 'transparent', activeBarBorderWidth: 0, ...(mode === 'dark' ? { itemSelectedColor: '#8fd3e8' } : {}) },
      ...(mode === 'dark' ? { Button: { dangerColor: '#1c0a0a' } } : {}),
    },
  };
}
