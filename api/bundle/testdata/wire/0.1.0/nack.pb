i
@3b1f7a6d0f0f5f6c0d7f2c5d0a8b8f2d1f7a6d0f0f5f6c0d7f2c5d0a8b8f2d11why 																																